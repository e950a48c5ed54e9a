//! One call as CloudTrail records it. The text follows from the call alone, so that it can be written again.

use super::action::Action;
use super::call::{Call, Edition, delivered_to, region, write_id};
use super::caller::Caller;
use super::draw::{Draw, mix2};
use super::identity::{self, Via, Who};
use super::template::{Scene, render};
use super::wire::Wire;
use super::{Options, agent, name, text};

/// An event being written.
pub(super) struct Writing<'a> {
    pub(super) options: &'a Options,
    pub(super) call: &'a Call,
    caller: Caller,
    edition: Edition,
    pub(super) wire: Wire,
}

const THINGS_A_BURST: u64 = 12;

/// Returns who called.
pub(super) fn write(out: &mut Vec<u8>, options: &Options, call: &Call, edition: Edition) -> Caller {
    let caller = Caller::new(options, call.caller);
    let mut draw = Draw::new(call.seed);
    let mut wire = Wire::of(&caller, call.presigned, &mut draw);
    if call.via == Via::Anonymous {
        wire.signature = None;
    }
    let account = caller.recipient;
    let thing = draw.below(THINGS_A_BURST);
    let (burst, region, time_s) = (call.burst, region(call.action, &caller), call.time_s);
    let mut scene = Scene { draw: &mut draw, burst, thing, account, region, time_s };
    let writing = Writing { options, call, caller, edition, wire };
    writing.head(out, &mut scene);
    writing.body(out, &mut scene);
    writing.tail(out, &mut scene);
    caller
}

impl Writing<'_> {
    fn head(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        let (call, action) = (self.call, self.call.action);
        text::text(out, "{\"eventVersion\":\"1.");
        let newest = self.options.mix.event_version_minor.max(8);
        let minor = 8 + action.name.len() as u64 % u64::from(newest - 7);
        text::padded(out, minor, 2);
        text::text(out, "\",\"userIdentity\":");
        self.identity(out);
        text::text(out, ",\"eventTime\":\"");
        text::time(out, call.time_s);
        text::text(out, "\",\"eventSource\":\"");
        text::text(out, action.service);
        text::text(out, ".amazonaws.com\",\"eventName\":\"");
        text::text(out, action.name);
        text::text(out, "\",\"awsRegion\":\"");
        text::text(out, scene.region);
        text::text(out, "\",\"sourceIPAddress\":\"");
        self.origin(out, scene);
    }

    fn identity(&self, out: &mut Vec<u8>) {
        let call = self.call;
        if call.action.service_event {
            text::text(out, "{\"accountId\":\"");
            text::number(out, self.caller.recipient);
            text::text(out, "\",\"invokedBy\":\"");
            text::text(out, call.action.by);
            return text::text(out, "\"}");
        }
        let who = Who {
            caller: &self.caller,
            session: call.session,
            via: call.via,
            signed_in: call.signed_in,
            time_s: call.time_s,
            invoked_by: call.action.by,
        };
        identity::write(out, &who);
    }

    /// Where it came from and with which client.
    fn origin(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        let call = self.call;
        let between = "\",\"userAgent\":\"";
        match call.via {
            Via::OnBehalf | Via::Service => {
                for piece in [call.action.by, between, call.action.by] {
                    text::text(out, piece);
                }
            }
            _ if call.presigned || call.via == Via::Anonymous => {
                name::address(out, scene.draw.next() & !3);
                text::text(out, between);
                let agent = agent::opener(scene.draw);
                for piece in ["[", agent, "]"] {
                    text::text(out, piece);
                }
            }
            Via::Console | Via::Root => {
                name::address(out, mix2(self.caller.bits, 17));
                text::text(out, between);
                text::text(out, agent::console(scene.draw));
            }
            _ => {
                name::address(out, mix2(self.caller.bits, 17 + call.session % 4));
                text::text(out, between);
                agent::direct(out, &self.caller, scene, call.action.is_s3());
            }
        }
        out.push(b'"');
    }

    fn tail(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        let (call, action) = (self.call, self.call.action);
        self.ids(out, scene);
        text::text(out, if action.write { ",\"readOnly\":false" } else { ",\"readOnly\":true" });
        self.resources(out, scene);
        let event_type = if action.service_event { "AwsServiceEvent" } else { "AwsApiCall" };
        text::text(out, ",\"eventType\":\"");
        text::text(out, event_type);
        text::text(
            out,
            if action.data { "\",\"managementEvent\":false" } else { "\",\"managementEvent\":true" },
        );
        text::text(out, ",\"recipientAccountId\":\"");
        let account = delivered_to(self.options, call, self.edition);
        text::number(out, account);
        out.push(b'"');
        self.links(out, scene);
        text::text(
            out,
            if action.data { ",\"eventCategory\":\"Data\"" } else { ",\"eventCategory\":\"Management\"" },
        );
        if action.reports_tls && call.via != Via::Console {
            self.wire.write_tls_details(out, &host(scene, action));
        }
        if call.via == Via::Console {
            let as_text = scene.draw.below(10) > 0;
            text::text(out, ",\"sessionCredentialFromConsole\":");
            text::text(out, if as_text { "\"true\"" } else { "true" });
        }
        out.push(b'}');
    }

    fn ids(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        text::text(out, ",\"requestID\":\"");
        match self.call.action.service {
            "s3" => text::base32(out, scene.draw.next(), 12),
            _ => text::uuid(out, scene.draw.next(), scene.draw.next()),
        }
        text::text(out, "\",\"eventID\":\"");
        write_id(out, self.call, self.edition);
        out.push(b'"');
    }

    fn resources(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        let (kind, arn) = self.call.action.resource;
        if kind.is_empty() {
            return;
        }
        text::text(out, ",\"resources\":[{\"accountId\":\"");
        text::number(out, scene.account);
        for piece in ["\",\"type\":\"", kind, "\",\"ARN\":\""] {
            text::text(out, piece);
        }
        render(out, arn, scene);
        text::text(out, "\"}]");
    }

    /// What ties the event to others, and to an endpoint.
    fn links(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        let (call, action) = (self.call, self.call.action);
        let by_service = action.name == "AssumeRole" && call.via == Via::Service;
        if call.shared || by_service {
            text::text(out, ",\"sharedEventID\":\"");
            text::uuid(out, mix2(call.seed, 32), mix2(call.seed, 33));
            out.push(b'"');
        }
        if matches!(action.service, "s3" | "kms") && !call.presigned && scene.draw.below(10) < 3 {
            text::text(out, ",\"vpcEndpointId\":\"vpce-0");
            text::hex(out, mix2(scene.account, 41), 16);
            out.push(b'"');
        }
        if self.edition == Edition::Correction {
            text::text(
                out,
                ",\"addendum\":{\"reason\":\"UPDATED_DATA\",\"updatedFields\":\"responseElements\",\"originalEventID\":\"",
            );
            write_id(out, call, Edition::Original);
            text::text(out, "\"}");
        }
    }
}

fn host(scene: &mut Scene, action: &Action) -> Vec<u8> {
    let mut host = Vec::with_capacity(64);
    match action.service {
        "iam" => text::text(&mut host, "iam.amazonaws.com"),
        "s3" if !action.resource.0.is_empty() => render(&mut host, "$b.s3.$r.amazonaws.com", scene),
        service => {
            for piece in [service, ".", scene.region, ".amazonaws.com"] {
                text::text(&mut host, piece);
            }
        }
    }
    host
}
