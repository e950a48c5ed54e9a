//! What the calls are made of.

/// What the calls are made of: shares of all calls, but where another whole is named.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// Calls a service makes on a caller's behalf (`invokedBy` beside the caller's identity).
    pub on_behalf: f64,
    /// Calls and events of AWS services themselves.
    pub service: f64,
    /// Calls the console makes for somebody (`sessionCredentialFromConsole`).
    pub console: f64,
    /// Of a user's direct calls, those with temporary credentials although it has a key.
    pub signed_in: f64,
    /// Calls by an account's root.
    pub root: f64,
    /// Anonymous S3 calls.
    pub anonymous: f64,
    /// Console sign-ins.
    pub sign_ins: f64,
    /// Of the direct calls, those that read and write S3 objects (data events).
    pub s3_objects: f64,
    /// Of the callers, those whose client is Terraform.
    pub terraform: f64,
    /// Of the S3 calls, those whose `additionalEventData` is a JSON string.
    pub data_as_text: f64,
    /// Mean number of calls a caller makes in one go. 1 mixes the callers thoroughly; more makes neighbours
    /// alike, as real files are, and compresses better.
    pub burst: u32,
    /// How many such bursts run at once.
    pub concurrent: u32,
    /// The newest minor number of `eventVersion` 1.x; services differ, none is below 8.
    pub event_version_minor: u32,
}

impl Mix {
    pub(super) fn corpus() -> Mix {
        Mix {
            on_behalf: 0.0955,
            service: 0.0262,
            console: 0.088,
            signed_in: 0.045,
            root: 0.001,
            anonymous: 0.0005,
            sign_ins: 0.001,
            s3_objects: 0.01,
            terraform: 0.85,
            data_as_text: 0.005,
            burst: 6,
            concurrent: 4,
            event_version_minor: 8,
        }
    }

    pub(super) fn organisation() -> Mix {
        Mix {
            on_behalf: 0.12,
            service: 0.06,
            console: 0.05,
            signed_in: 0.02,
            root: 0.0005,
            anonymous: 0.004,
            sign_ins: 0.004,
            s3_objects: 0.5,
            terraform: 0.12,
            data_as_text: 0.01,
            burst: 4,
            concurrent: 8,
            event_version_minor: 11,
        }
    }
}
