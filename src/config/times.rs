// SPDX-License-Identifier: GPL-2.0-or-later
//! The times of one ticket: defaults, and whether they fit each other and the rules of the lease.

use super::error::{Problem, TimesProblem};
use super::keyword::TicketKey;
use super::limits::{RETRIES_MIN, TIME_MAX_MILLIS};
use super::raw::{Located, RawTicket, Settings, Warnings};
use crate::model::{TicketMode, TicketSpec};
use crate::time::Span;

const EXPIRE_DEFAULT: Span = Span::from_secs(600);
const TIMEOUT_DEFAULT: Span = Span::from_secs(5);
const RETRIES_DEFAULT: u32 = 10;

/// A shorter time for one `crm_ticket` call causes a warning. This is ten times what a call takes
/// on an idle machine.
const GUARD_COMFORTABLE: Span = Span::from_millis(300);

/// Sets the times of `spec` from the ticket's keys.
///
/// # Errors
/// The line of the key to blame, and the arithmetic that does not work out.
pub(super) fn settle(
    raw: &RawTicket,
    spec: &mut TicketSpec,
    warnings: &mut Warnings,
) -> Result<(), (usize, Problem)> {
    spec.expire = pick(raw, |keys| &keys.expire).unwrap_or(EXPIRE_DEFAULT);
    spec.timeout = pick(raw, |keys| &keys.timeout).unwrap_or(TIMEOUT_DEFAULT);
    spec.retries = pick(raw, |keys| &keys.retries).unwrap_or(RETRIES_DEFAULT);
    spec.acquire_after = pick(raw, |keys| &keys.acquire_after).unwrap_or(Span::ZERO);
    let half = half_of(spec.expire);
    spec.renewal = half;
    if let Some(own) = &raw.own.renewal {
        spec.renewal = own.value;
    } else if let Some(inherited) = &raw.defaults.renewal {
        if spec.patience() < inherited.value && inherited.value < window(spec) {
            spec.renewal = inherited.value;
        } else {
            let text = format!(
                "ticket {:?}: the renewal-freq of __defaults__, {}, does not fit the other times \
                 of the ticket; half of expire, {half}, is used instead",
                spec.name.as_str(),
                inherited.value
            );
            warnings.push((Some(raw.line), text));
        }
    }
    if spec.patience() >= spec.renewal {
        return Err((blame(raw), Problem::Times(describe(spec, raw.own.renewal.is_some()))));
    }
    match spec.mode {
        TicketMode::Automatic => check_lease(raw, spec, half, warnings),
        TicketMode::Manual => Ok(()),
    }
}

/// Why the C boothd refuses the defaults; `None` if it accepts them.
pub(super) fn defaults_misfit(defaults: &Settings) -> Option<String> {
    fn value<T: Copy>(key: &Option<Located<T>>, default: T) -> T {
        key.as_ref().map_or(default, |located| located.value)
    }
    let sends = u64::from(value(&defaults.retries, RETRIES_DEFAULT)).saturating_add(1);
    let patience = value(&defaults.timeout, TIMEOUT_DEFAULT).times(sends);
    let half = half_of(value(&defaults.expire, EXPIRE_DEFAULT));
    let renewal = value(&defaults.renewal, half);
    (patience >= renewal).then(|| {
        format!(
            "__defaults__: the C boothd refuses these defaults, even if no ticket uses all of \
             them: timeout * (retries + 1) = {patience} is not less than the renewal period \
             {renewal}"
        )
    })
}

/// The ticket's own value, or that of the defaults.
pub(super) fn pick<T: Clone>(
    raw: &RawTicket,
    key: impl Fn(&Settings) -> &Option<Located<T>>,
) -> Option<T> {
    key(&raw.own).as_ref().or(key(&raw.defaults).as_ref()).map(|located| located.value.clone())
}

/// Reference: rounds half of `expire` down to milliseconds.
fn half_of(expire: Span) -> Span {
    Span::from_millis(expire.as_millis() / 2)
}

/// How long after a renewal is sent its write may still start (`RULES.md` L5, L6): the lease minus
/// `d`, minus `g` for the end of holding, minus `2g` for the write itself.
fn window(spec: &TicketSpec) -> Span {
    spec.expire.minus(spec.drift()).minus(spec.guard().times(3))
}

/// Checks what the lease needs beyond the reference's check: a renewal that can be written in time,
/// even if one message is lost. The reference accepts such files, so they are corrected if that
/// helps, with a warning.
fn check_lease(
    raw: &RawTicket,
    spec: &mut TicketSpec,
    half: Span,
    warnings: &mut Warnings,
) -> Result<(), (usize, Problem)> {
    let line = raw.own.renewal.as_ref().map_or(raw.line, |located| located.line);
    let name = spec.name.as_str().to_owned();
    let window = window(spec);
    if spec.renewal >= window && spec.timeout >= half {
        let (expire, renewal, timeout) = (spec.expire, spec.renewal, spec.timeout);
        let enough = in_words(enough_for(renewal));
        return Err((line, Problem::Lease { ticket: name, expire, renewal, timeout, enough }));
    }
    if spec.renewal >= window {
        let text = format!(
            "ticket {name:?}: renewal-freq = {} is too long: with expire = {} a renewal must be \
             complete {window} after the previous one; half of expire, {half}, is used instead",
            spec.renewal, spec.expire
        );
        warnings.push((Some(line), text));
        spec.renewal = half;
    } else if spec.renewal.plus(spec.timeout) >= window {
        let text = format!(
            "ticket {name:?}: one lost message would cost the ticket: renewal-freq + timeout = \
             {} + {} is not less than {window}, the time that expire = {} leaves for a renewal",
            spec.renewal, spec.timeout, spec.expire
        );
        warnings.push((Some(line), text));
    }
    if spec.guard() < GUARD_COMFORTABLE {
        let text = format!(
            "ticket {name:?}: expire = {} leaves crm_ticket only {} for a call; if a call takes \
             longer, the ticket is given up",
            spec.expire,
            spec.guard()
        );
        warnings.push((Some(raw.line), text));
    }
    Ok(())
}

/// An `expire` in milliseconds, in whole seconds, whose [`window`] is longer than `renewal`. Up to
/// 50 s it is 69 parts of 100; beyond that 99 parts, less three times the greatest guard of 5 s.
fn enough_for(renewal: Span) -> u64 {
    let renewal = renewal.as_millis().saturating_add(1);
    let short = renewal.saturating_mul(100).div_ceil(69);
    let long = renewal.saturating_add(15_000).saturating_mul(100).div_ceil(99);
    round_up(short.min(long).max(1000))
}

/// The line to blame when the times do not fit: the last of the ticket's own, or its first.
fn blame(raw: &RawTicket) -> usize {
    let line = |located: &Option<Located<Span>>| located.as_ref().map_or(0, |it| it.line);
    let own = &raw.own;
    let retries = own.retries.as_ref().map_or(0, |located| located.line);
    let lines = [line(&own.expire), line(&own.timeout), line(&own.renewal), retries];
    lines.into_iter().fold(raw.line, usize::max)
}

/// The sum, the limit, and values that would solve the problem, each of them alone.
fn describe(spec: &TicketSpec, renewal_set: bool) -> Box<TimesProblem> {
    let sends = u64::from(spec.retries).saturating_add(1);
    let (renewal, timeout) = (spec.renewal.as_millis(), spec.timeout.as_millis().max(1));
    let below = renewal.saturating_sub(1);
    let mut hints = Vec::new();
    let shorter = round_down(below / sends);
    if shorter > 0 {
        hints.push((TicketKey::Timeout, in_words(shorter)));
    }
    let fewer = (below / timeout).saturating_sub(1);
    if fewer >= u64::from(RETRIES_MIN) {
        hints.push((TicketKey::Retries, fewer.to_string()));
    }
    let longer = round_up(spec.patience().as_millis().saturating_add(1));
    if !renewal_set {
        let expire = round_up(spec.patience().as_millis().saturating_add(1).saturating_mul(2));
        if expire <= TIME_MAX_MILLIS {
            hints.push((TicketKey::Expire, in_words(expire)));
        }
    } else if Span::from_millis(longer) < window(spec) {
        hints.push((TicketKey::RenewalFreq, in_words(longer)));
    }
    Box::new(TimesProblem { spec: spec.clone(), renewal_set, hints })
}

/// Rounds down to whole seconds, except times of less than a second.
const fn round_down(millis: u64) -> u64 {
    if millis < 1000 {
        return millis;
    }
    millis / 1000 * 1000
}

/// Rounds up to whole seconds, except times of less than a second.
const fn round_up(millis: u64) -> u64 {
    if millis < 1000 {
        return millis;
    }
    millis.div_ceil(1000) * 1000
}

/// A time as it is written in the file.
pub(super) fn in_words(millis: u64) -> String {
    if millis % 1000 == 0 {
        (millis / 1000).to_string()
    } else {
        format!("{millis}ms")
    }
}
