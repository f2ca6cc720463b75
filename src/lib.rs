//! g
pub mod auth;
pub mod config;
pub mod database;
pub mod domain;
pub mod sample;
pub mod service;
