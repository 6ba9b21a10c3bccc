//! The program as people start it: its one line, its files, its signals, and kubectl.

mod audit;
mod credentials;
mod custom_resources;
mod fairness;
mod first_day;
mod hostile;
mod identity;
mod lifecycle;
mod raw;
mod rig;
mod rights;
mod secrets;
mod site;
mod streams;
