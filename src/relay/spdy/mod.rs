//! SPDY/3.1, as far as kubelets speak it: frames, and headers packed with the protocol's own dictionary.
//!
//! It knows nothing of what streams are for. There is no flow control by windows: kubelets never announce any, and what
//! is not read holds the connection back.
//!
//! In reading order: `headers` (packed blocks), `frame` (the wire).

pub mod frame;
pub mod headers;
