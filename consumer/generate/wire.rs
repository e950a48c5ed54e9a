//! How a call was signed and encrypted: `additionalEventData` and `tlsDetails`.

use super::caller::Caller;
use super::draw::{Draw, mix2};
use super::text;

/// What the wire says of one S3 call.
pub(super) struct Wire {
    pub(super) tls: &'static str,
    pub(super) cipher: &'static str,
    /// `None` for an anonymous call.
    pub(super) signature: Option<&'static str>,
    pub(super) presigned: bool,
}

const TLS12: (&str, &str) = ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256");
const TLS13: (&str, &str) = ("TLSv1.3", "TLS_AES_128_GCM_SHA256");

impl Wire {
    pub(super) fn of(caller: &Caller, presigned: bool, draw: &mut Draw) -> Wire {
        let (tls, cipher) = if presigned { tls_of_opener(draw) } else { tls_of(caller) };
        let sigv2 = caller.weak.sigv2 || (presigned && caller.weak.sigv2_links);
        Wire { tls, cipher, signature: Some(if sigv2 { "SigV2" } else { "SigV4" }), presigned }
    }

    /// The inside of `additionalEventData` of an S3 call.
    pub(super) fn write_additional(&self, out: &mut Vec<u8>, draw: &mut Draw, write: bool) {
        out.push(b'{');
        if let Some(signature) = self.signature {
            text::text(out, "\"SignatureVersion\":\"");
            text::text(out, signature);
            text::text(out, "\",");
        }
        text::text(out, "\"CipherSuite\":\"");
        text::text(out, self.cipher);
        let size = 300 + draw.below(60) * draw.below(4);
        text::text(out, "\",\"bytesTransferredIn\":");
        text::number(out, if write { size } else { 0 });
        if self.signature.is_some() {
            let method = if self.presigned { "QueryString" } else { "AuthHeader" };
            text::text(out, ",\"AuthenticationMethod\":\"");
            text::text(out, method);
            out.push(b'"');
        }
        text::text(out, ",\"x-amz-id-2\":\"");
        text::base64(out, draw, 75);
        text::text(out, "=\",\"bytesTransferredOut\":");
        text::number(out, if write { 0 } else { size });
        out.push(b'}');
    }

    pub(super) fn write_tls_details(&self, out: &mut Vec<u8>, host: &[u8]) {
        text::text(out, ",\"tlsDetails\":{\"tlsVersion\":\"");
        text::text(out, self.tls);
        text::text(out, "\",\"cipherSuite\":\"");
        text::text(out, self.cipher);
        text::text(out, "\",\"clientProvidedHostHeader\":\"");
        out.extend_from_slice(host);
        text::text(out, "\"}");
    }
}

fn tls_of(caller: &Caller) -> (&'static str, &'static str) {
    if caller.weak.tls10 {
        return ("TLSv1", "ECDHE-RSA-AES128-SHA");
    }
    if caller.weak.tls11 {
        return ("TLSv1.1", "ECDHE-RSA-AES256-SHA");
    }
    if mix2(caller.bits, 13) % 100 < 9 { TLS13 } else { TLS12 }
}

/// A link may be opened by anything, old machines among them.
fn tls_of_opener(draw: &mut Draw) -> (&'static str, &'static str) {
    match draw.below(100) {
        0 => ("TLSv1", "ECDHE-RSA-AES128-SHA"),
        1..40 => TLS12,
        _ => TLS13,
    }
}
