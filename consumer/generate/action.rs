//! What can be called, and how often.

use super::draw::Draw;

/// One API of one service, with templates of what it carries ("" is `null`, or for `resource` none).
pub(super) struct Action {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) weight: u32,
    pub(super) write: bool,
    pub(super) request: &'static str,
    pub(super) response: &'static str,
    /// The type and the ARN of the resource.
    pub(super) resource: (&'static str, &'static str),
    /// Percent of the calls, code and message.
    pub(super) fails: (u32, &'static str, &'static str),
    /// Of calls on somebody's behalf or by a service: who makes it.
    pub(super) by: &'static str,
    /// Whether the service reports TLS.
    pub(super) reports_tls: bool,
    /// A data event.
    pub(super) data: bool,
    /// An event of the service itself: no call, but counted as one.
    pub(super) service_event: bool,
}

pub(super) const fn read(
    service: &'static str,
    name: &'static str,
    weight: u32,
    request: &'static str,
) -> Action {
    Action {
        service,
        name,
        weight,
        write: false,
        request,
        response: "",
        resource: ("", ""),
        fails: (0, "", ""),
        by: "",
        reports_tls: true,
        data: false,
        service_event: false,
    }
}

pub(super) const fn write(
    service: &'static str,
    name: &'static str,
    weight: u32,
    request: &'static str,
    response: &'static str,
) -> Action {
    Action { write: true, response, ..read(service, name, weight, request) }
}

impl Action {
    pub(super) const fn on(self, resource_type: &'static str, arn: &'static str) -> Action {
        Action { resource: (resource_type, arn), ..self }
    }

    pub(super) const fn fails(self, percent: u32, code: &'static str, message: &'static str) -> Action {
        Action { fails: (percent, code, message), ..self }
    }

    pub(super) const fn by(self, service: &'static str) -> Action {
        Action { by: service, reports_tls: false, ..self }
    }

    pub(super) const fn without_tls(self) -> Action {
        Action { reports_tls: false, ..self }
    }

    pub(super) const fn data(self) -> Action {
        Action { data: true, ..self }
    }

    pub(super) const fn event_of_service(self) -> Action {
        Action { service_event: true, ..self }
    }

    pub(super) fn is_s3(&self) -> bool {
        self.service == "s3"
    }
}

/// One of the actions, each as often as its weight.
pub(super) fn choose(actions: &'static [Action], draw: &mut Draw) -> &'static Action {
    choose_where(actions, draw, |_| true)
}

/// Another action of the same service: what a tool does next.
pub(super) fn choose_like(actions: &'static [Action], like: &Action, draw: &mut Draw) -> &'static Action {
    choose_where(actions, draw, |action| action.service == like.service)
}

fn choose_where(
    actions: &'static [Action],
    draw: &mut Draw,
    wanted: impl Fn(&Action) -> bool,
) -> &'static Action {
    let total: u64 = actions.iter().filter(|a| wanted(a)).map(|a| u64::from(a.weight)).sum();
    let mut left = draw.below(total);
    for action in actions.iter().filter(|a| wanted(a)) {
        match left.checked_sub(u64::from(action.weight)) {
            Some(rest) => left = rest,
            None => return action,
        }
    }
    &actions[0]
}
