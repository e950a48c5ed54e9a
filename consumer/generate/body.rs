//! What a call asked, what it got, and what the service adds.

use super::event::Writing;
use super::template::{Scene, render};
use super::text;

const CREDENTIALS: &str = r#"{"credentials":{"accessKeyId":"ASIASYNTHETIC0000$d","sessionToken":"$T","expiration":"$t"},"assumedRoleUser":{"assumedRoleId":"AROASYNTHETIC00000$d:$n","arn":"arn:aws:sts::$a:assumed-role/lambda-$n/$n"}}"#;

impl Writing<'_> {
    pub(super) fn body(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        let action = self.call.action;
        let assumes = action.name.starts_with("AssumeRole");
        let (percent, code, message) = action.fails;
        let failed = scene.draw.below(100) < u64::from(percent);
        if failed {
            text::text(out, ",\"errorCode\":\"");
            text::text(out, code);
            text::text(out, "\",\"errorMessage\":\"");
            render(out, message, scene);
            out.push(b'"');
        }
        text::text(out, ",\"requestParameters\":");
        self.request(out, scene);
        text::text(out, ",\"responseElements\":");
        match self.call.via {
            _ if failed || (action.response.is_empty() && !assumes) => text::text(out, "null"),
            _ if assumes => render(out, CREDENTIALS, scene),
            _ => render(out, action.response, scene),
        }
        self.additional(out, scene);
    }

    fn request(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        let template = self.call.action.request;
        let fill = self.call.fill as usize;
        match (template.is_empty(), fill) {
            (true, 0) => return text::text(out, "null"),
            (true, _) => out.push(b'{'),
            (false, 0) => return render(out, template, scene),
            (false, _) => {
                render(out, template, scene);
                out.pop();
                out.push(b',');
            }
        }
        let end = out.len() + fill;
        text::text(out, "\"filters\":[");
        loop {
            render(out, r#"{"name":"tag:owner-$d","values":["$n","$i"]}"#, scene);
            if out.len() >= end {
                break;
            }
            out.push(b',');
        }
        text::text(out, "]}");
    }

    fn additional(&self, out: &mut Vec<u8>, scene: &mut Scene) {
        let action = self.call.action;
        let key = ",\"additionalEventData\":";
        if action.service == "ses" {
            text::text(out, key);
            return text::text(out, "{\"SignatureVersion\":\"4\"}");
        }
        if action.service_event {
            text::text(out, key);
            return render(
                out,
                r#"{"ARN":"arn:aws:secretsmanager:$r:$a:secret:$n-$d","Name":"$n-$d"}"#,
                scene,
            );
        }
        // 4 of the corpus' 271 S3 calls report no signature.
        if !action.is_s3() || scene.draw.below(271) < 4 {
            return;
        }
        text::text(out, key);
        if !scene.draw.chance(self.options.mix.data_as_text) {
            return self.wire.write_additional(out, scene.draw, action.write);
        }
        let mut inside = Vec::with_capacity(300);
        self.wire.write_additional(&mut inside, scene.draw, action.write);
        out.push(b'"');
        text::escaped(out, &inside);
        out.push(b'"');
    }
}
