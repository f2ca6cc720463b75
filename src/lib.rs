#![doc = include_str!("../ARCHITECTURE.md")]

pub mod domain;

pub mod config;

pub mod telemetry;

pub mod worker;

pub mod admission;

pub mod service;

pub mod outbox;

pub mod auth;

pub mod database;

pub mod cache;

pub mod rpc;

pub mod graphql;

pub mod http;

pub mod sample;

pub mod app;

pub mod cli;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
