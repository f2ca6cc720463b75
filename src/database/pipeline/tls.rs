//! TLS to PostgreSQL, as strict as the pool's: `prefer` and `require` encrypt and trust any
//! certificate, `verify-ca` wants one that a known authority has signed, `verify-full` one for the
//! server's name, too.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sea_orm::sqlx::postgres::PgSslMode;

use super::target::Unsupported;

/// What secures connections, by the parameters of the pool's URL.
pub(super) fn config(
    mode: PgSslMode,
    parameters: &HashMap<String, String>,
) -> Result<Arc<ClientConfig>, Unsupported> {
    let provider = Arc::new(ring::default_provider());
    let roots = parameters.get("sslrootcert").map(String::as_str);
    let trust = Trust::new(mode, roots, &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let config = match (parameters.get("sslcert"), parameters.get("sslkey")) {
        (Some(certificate), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(unusable)?;
            config
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(unusable)?
        }
        (None, None) => config.with_no_client_auth(),
        _ => return Err(Unsupported("`sslcert` and `sslkey` go together".to_owned())),
    };
    Ok(Arc::new(config))
}

/// What a certificate of the server is checked for.
#[derive(Debug)]
struct Trust {
    /// Whoever has signed it must be known here, if anywhere.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    is_named: bool,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    fn new(
        mode: PgSslMode,
        roots: Option<&str>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Unsupported> {
        let is_signed = matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        let mut authorities = None;
        if is_signed {
            let mut known = RootCertStore::empty();
            known.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            for root in roots.map(certificates).transpose()?.into_iter().flatten() {
                known.add(root).map_err(unusable)?;
            }
            let known = Arc::new(known);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(known, Arc::clone(provider)).build();
            authorities = Some(verifier.map_err(unusable)?);
        }
        Ok(Self {
            authorities,
            is_named: matches!(mode, PgSslMode::VerifyFull),
            provider: Arc::clone(provider),
        })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        let verdict =
            authorities.verify_server_cert(certificate, intermediates, name, ocsp_response, now);
        // The name is what is looked at last.
        match verdict {
            Err(rustls::Error::InvalidCertificate(
                NotValidForName | NotValidForNameContext { .. },
            )) if !self.is_named => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

/// The certificates of a parameter.
fn certificates(parameter: &str) -> Result<Vec<CertificateDer<'static>>, Unsupported> {
    CertificateDer::pem_slice_iter(&read(parameter)?)
        .map(|certificate| certificate.map_err(unusable))
        .collect()
}

/// What a parameter holds: its own text, or the file that it names.
fn read(parameter: &str) -> Result<Vec<u8>, Unsupported> {
    match parameter.strip_prefix("file: ") {
        Some(path) => fs::read(path).map_err(|error| Unsupported(format!("{path}: {error}"))),
        None => Ok(parameter.as_bytes().to_vec()),
    }
}

fn unusable(error: impl Display) -> Unsupported {
    Unsupported(error.to_string())
}
