//! Events that are no API calls: insights, aggregated events, network activity; and console sign-ins.

use super::Options;
use super::call::{Call, Edition, delivered_to, id};
use super::caller::Caller;
use super::draw::{Draw, mix2};
use super::identity::{self, Via, Who};
use super::template::{Scene, render};
use super::text;

const INSIGHT: &str = r#"{"eventVersion":"1.08","eventTime":"$t","awsRegion":"$r","eventID":"#;
const INSIGHT_REST: &str = r#","eventType":"AwsCloudTrailInsight","recipientAccountId":"$a","sharedEventID":"$u","insightDetails":{"state":"Start","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","insightType":"ApiCallRateInsight","insightContext":{"statistics":{"baseline":{"average":0.$d},"insight":{"average":4.$d},"insightDuration":1,"baselineDuration":10080},"attributions":[{"attribute":"userIdentityArn","insight":[{"value":"arn:aws:iam::$a:role/$n","average":4.$d}],"baseline":[]}]}},"eventCategory":"Insight"}"#;
const AGGREGATED: &str = r#"{"eventVersion":"1.0","accountId":"$a","eventId":"#;
const AGGREGATED_REST: &str = r#","eventCategory":"Aggregated","eventType":"AwsAggregatedEvent","awsRegion":"$r","eventSource":"s3.amazonaws.com","timeWindow":{"windowStart":"$t","windowEnd":"$w","windowSize":"PT5M"},"summary":{"primaryDimension":{"dimension":"eventName","statistics":[{"name":"GetObject","value":$s},{"name":"PutObject","value":$s}]},"details":[{"dimension":"userIdentity","statistics":[{"name":"arn:aws:iam::$a:role/$n","value":$s}]}]}}"#;
const SIGN_IN: &str = r#","eventTime":"$t","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"$r","sourceIPAddress":"203.0.113.$d","userAgent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0","requestParameters":null,"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"LoginTo":"https://console.aws.amazon.com/console/home","MobileVersion":"No","MFAUsed":"Yes"},"eventID":"#;
const SIGN_IN_REST: &str = r#","readOnly":false,"eventType":"AwsConsoleSignIn","managementEvent":true,"recipientAccountId":"$a","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"$r.signin.aws.amazon.com"}}"#;
const NETWORK: &str = r#","eventTime":"$t","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"$r","sourceIPAddress":"10.20.$d.7","userAgent":"aws-sdk-java/2.25.16","#;
const DENIED: &str =
    r#""errorCode":"VpceAccessDenied","errorMessage":"The request was denied due to a VPC endpoint policy","#;
const NETWORK_REST: &str = r#","eventType":"AwsVpceEvent","recipientAccountId":"$a","sharedEventID":"$u","vpcEndpointId":"vpce-$i","vpcEndpointAccountId":"$a","eventCategory":"NetworkActivity"}"#;

/// What to write instead of a call; whom it concerns and when is the call's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    Insight,
    Aggregated,
    NetworkActivity,
    VpceAccessDenied,
    SignIn,
}

pub(super) fn write(out: &mut Vec<u8>, options: &Options, call: &Call, other: Other) {
    let caller = Caller::new(options, call.caller);
    let mut draw = Draw::new(call.seed);
    let account = delivered_to(options, call, Edition::Original);
    let (thing, burst, region) = (draw.below(200), call.burst, caller.region);
    let mut scene = Scene { draw: &mut draw, burst, thing, account, region, time_s: call.time_s };
    match other {
        Other::Insight => around(out, call, &mut scene, INSIGHT, INSIGHT_REST),
        Other::Aggregated => around(out, call, &mut scene, AGGREGATED, AGGREGATED_REST),
        Other::SignIn => {
            identified(out, call, &caller);
            around(out, call, &mut scene, SIGN_IN, SIGN_IN_REST);
        }
        Other::NetworkActivity | Other::VpceAccessDenied => {
            identified(out, call, &caller);
            render(out, NETWORK, &mut scene);
            text::text(out, if other == Other::VpceAccessDenied { DENIED } else { "" });
            let ids = r#""requestID":"$u","eventID":"#;
            around(out, call, &mut scene, ids, NETWORK_REST);
        }
    }
}

fn around(out: &mut Vec<u8>, call: &Call, scene: &mut Scene, before: &str, after: &str) {
    render(out, before, scene);
    out.push(b'"');
    text::text(out, &id(call, Edition::Original));
    out.push(b'"');
    render(out, after, scene);
}

fn identified(out: &mut Vec<u8>, call: &Call, caller: &Caller) {
    text::text(out, r#"{"eventVersion":"1.09","userIdentity":"#);
    let session = mix2(call.session, 1) % 3;
    let via = Via::Direct;
    let who = Who { caller, session, via, signed_in: true, time_s: call.time_s, invoked_by: "" };
    identity::write(out, &who);
}
