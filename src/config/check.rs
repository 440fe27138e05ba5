// SPDX-License-Identifier: GPL-2.0-or-later
//! From a [`Raw`] configuration to a checked one: checks what concerns more than one line, or needs
//! the system. Continues after an error, so that one run reports all errors.

use super::checked::{Account, Config, ConfiguredMember, TicketConfig, TicketStore};
use super::error::{system_words, ConfigError, MemberProblem, Problem};
use super::limits::{ERRORS_MAX, NAME_BYTES_MAX};
use super::locate;
use super::raw::{Located, Raw, RawMember, RawTicket, Warnings};
use super::surroundings::Surroundings;
use super::times::{self, pick};
use crate::auth::Key;
use crate::model::{Member, MemberId, MemberRole, TicketMode, TicketSpec, MEMBERS_MAX};
use crate::time::Span;
use crate::wire::TimeUnit;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

const MAX_SKEW_DEFAULT: Span = Span::from_secs(600);

/// Reference: its packages create this user and group.
const SITE_USER: &str = "hacluster";
const SITE_GROUP: &str = "haclient";
const ARBITRATOR_ACCOUNT: &str = "nobody";

/// What is done with host names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// They are looked up, which may need the network.
    LookUp,
    /// Their members are left out.
    LeaveOut,
}

/// Checks what was read. Returns all errors, in file order.
pub(super) fn check(
    raw: Raw,
    path: &Path,
    names: Names,
    surroundings: &mut dyn Surroundings,
) -> Result<Config, Vec<ConfigError>> {
    let mut report = Report { errors: raw.errors, warnings: raw.warnings };
    let name = report.name(raw.name, path);
    let site_account = account(raw.site_user, raw.site_group, SITE_USER, SITE_GROUP);
    let (user, group) = (raw.arbitrator_user, raw.arbitrator_group);
    let arbitrator_account = account(user, group, ARBITRATOR_ACCOUNT, ARBITRATOR_ACCOUNT);
    let members = report.members(&raw.members, names, surroundings);
    // Whoever runs the daemon may own the key; pcs gives it to the default user.
    let owners = [SITE_USER, &site_account.user, &arbitrator_account.user];
    let enabled = raw.enable_authfile.as_ref();
    let (authfile, key) = report.key(raw.authfile, enabled, &owners, surroundings);
    let tickets: Vec<TicketConfig> =
        raw.tickets.iter().filter_map(|ticket| report.ticket(ticket, &members)).collect();
    let max_skew = report.max_skew(raw.max_skew);
    report.remarks(&members, &tickets);
    if !report.errors.is_empty() {
        return Err(report.into_errors(path));
    }
    Ok(Config {
        path: path.to_owned(),
        name,
        authfile,
        key,
        max_skew,
        members,
        site_account,
        arbitrator_account,
        debug: raw.debug.map_or(0, |located| located.value),
        store: raw.store.map_or(TicketStore::Pacemaker, |located| located.value),
        tickets,
        unit: if raw.sub_second { TimeUnit::Millis } else { TimeUnit::Seconds },
        warnings: report.into_warnings(path),
    })
}

/// Errors and warnings so far, with their lines, unless they are about the whole file.
struct Report {
    errors: Vec<(Option<usize>, Problem)>,
    warnings: Warnings,
}

impl Report {
    fn error(&mut self, line: usize, problem: Problem) {
        self.errors.push((Some(line), problem));
    }

    fn bad_member(&mut self, line: usize, problem: MemberProblem) {
        self.error(line, Problem::Member(problem));
    }

    fn warn(&mut self, line: impl Into<Option<usize>>, text: impl Into<String>) {
        self.warnings.push((line.into(), text.into()));
    }

    fn name(&mut self, configured: Option<Located<String>>, path: &Path) -> String {
        let given = configured.filter(|located| !located.value.is_empty());
        let line = given.as_ref().map(|located| located.line);
        let name = given.map_or_else(|| locate::default_name(path), |located| located.value);
        let unfit = |c: &char| c.is_control() || matches!(c, '/' | '\'');
        if name.is_empty() {
            self.errors.push((line, Problem::NameEmpty));
        } else if let Some(unfit) = name.chars().find(unfit) {
            self.errors.push((line, Problem::NameUnfit { name: name.clone(), unfit }));
        } else if name.len() > NAME_BYTES_MAX {
            self.errors.push((line, Problem::NameTooLong { len: name.len() }));
        }
        name
    }

    fn key(
        &mut self,
        authfile: Option<Located<PathBuf>>,
        enabled: Option<&Located<bool>>,
        owners: &[&str],
        surroundings: &mut dyn Surroundings,
    ) -> (Option<PathBuf>, Option<Key>) {
        if let Some(enabled) = enabled {
            let refuses = "the C boothd of other distributions refuses this line";
            let text = if enabled.value || authfile.is_none() {
                format!("enable-authfile has no effect: an authfile is always used; {refuses}")
            } else {
                format!(
                    "enable-authfile does not disable the authfile: remove the authfile line; \
                     {refuses}"
                )
            };
            self.warn(enabled.line, text);
        }
        let Some(Located { value: path, line }) = authfile else {
            return (None, None);
        };
        if path.as_os_str().is_empty() {
            self.warn(line, "authfile is empty: nothing is authenticated");
            return (None, None);
        }
        if path.is_relative() {
            self.warn(
                line,
                "authfile does not begin with '/': it depends on the working directory",
            );
        }
        let key = match surroundings.read_key(&path, owners) {
            Ok(key) => Some(key),
            Err(why) => {
                self.error(line, Problem::KeyFile { path: path.clone(), why });
                None
            }
        };
        if key.as_ref().is_some_and(Key::disarms_reference) {
            let text = format!(
                "authfile {}: the key begins with a zero byte, so the C boothd neither sends nor \
                 checks authentication; this one does, with the whole key",
                path.display()
            );
            self.warn(line, text);
        }
        (Some(path), key)
    }

    fn max_skew(&mut self, configured: Option<Located<Span>>) -> Span {
        let Some(Located { value, line }) = configured else {
            return MAX_SKEW_DEFAULT;
        };
        if value.is_zero() {
            self.warn(line, "maxtimeskew = 0: packets from any other second are refused");
        }
        value
    }

    fn members(
        &mut self,
        raw: &[RawMember],
        names: Names,
        surroundings: &mut dyn Surroundings,
    ) -> Vec<ConfiguredMember> {
        let mut members: Vec<ConfiguredMember> = Vec::new();
        if let Some(surplus) = raw.get(MEMBERS_MAX) {
            self.bad_member(surplus.line, MemberProblem::TooMany);
        }
        for member in raw.iter().take(MEMBERS_MAX) {
            let Some(address) = self.address(member, names, surroundings) else { continue };
            let found = configured(member, address);
            if matches!(found.member.id.raw(), 0 | MemberId::NOBODY) {
                self.bad_member(member.line, MemberProblem::Reserved { address: address.ip() });
            } else if let Some(twin) = members.iter().find(|it| it.member.id == found.member.id) {
                let (text, first, first_line) = (found.text, twin.text.clone(), twin.line);
                let problem = if twin.member.address == found.member.address {
                    MemberProblem::SameMember { text, first, first_line }
                } else {
                    MemberProblem::SameId { text, first, first_line }
                };
                self.bad_member(member.line, problem);
            } else {
                members.push(found);
            }
        }
        members
    }

    /// A member's address; `None` after an error, or if its name is left out.
    fn address(
        &mut self,
        member: &RawMember,
        names: Names,
        surroundings: &mut dyn Surroundings,
    ) -> Option<SocketAddr> {
        let (line, text) = (member.line, &member.text);
        let address = match text.parse::<IpAddr>() {
            Ok(literal) => SocketAddr::new(literal, 0),
            Err(_) if names == Names::LeaveOut => return None,
            Err(_) => match surroundings.resolve(text) {
                Ok(addresses) => self.choose(member, &addresses)?,
                Err(error) => {
                    let reason = system_words(&error);
                    self.bad_member(line, MemberProblem::Resolve { host: text.clone(), reason });
                    return None;
                }
            },
        };
        if let Some(why) = unusable(address.ip()) {
            let (text, address) = (text.clone(), address.ip());
            self.bad_member(line, MemberProblem::Address { text, address, why });
            return None;
        }
        if let SocketAddr::V6(v6) = address {
            if v6.scope_id() == 0 && v6.ip().is_unicast_link_local() {
                let text = format!("{text}: a link-local address needs its interface: {text}%eth0");
                self.warn(line, text);
            }
        }
        Some(address)
    }

    /// The first of a host's addresses. All members must choose the same one.
    ///
    /// Reference: takes the first, too.
    fn choose(&mut self, member: &RawMember, addresses: &[SocketAddr]) -> Option<SocketAddr> {
        let Some(first) = addresses.first() else {
            let reason = "it has no address".to_owned();
            self.bad_member(
                member.line,
                MemberProblem::Resolve { host: member.text.clone(), reason },
            );
            return None;
        };
        let mut others: Vec<String> = Vec::new();
        for address in addresses {
            let text = address.ip().to_string();
            if address.ip() != first.ip() && !others.contains(&text) {
                others.push(text);
            }
        }
        if !others.is_empty() {
            let text = format!(
                "{}: the host has several addresses; {} is used, not {}. All members must use the \
                 same one: configure the address",
                member.text,
                first.ip(),
                others.join(", ")
            );
            self.warn(member.line, text);
        }
        Some(*first)
    }

    fn ticket(&mut self, raw: &RawTicket, members: &[ConfiguredMember]) -> Option<TicketConfig> {
        let mut weights = pick(raw, |keys| &keys.weights).unwrap_or_default();
        if weights.len() > members.len() {
            let text = format!(
                "ticket {:?}: there are {} weights for {} members",
                raw.name.as_str(),
                weights.len(),
                members.len()
            );
            self.warn(raw.line, text);
            weights.truncate(members.len());
        }
        let handler = pick(raw, |keys| &keys.handler).flatten();
        let own_rules = !raw.own.rules.is_empty();
        let rules = if own_rules { &raw.own.rules } else { &raw.defaults.rules };
        let mut spec = TicketSpec {
            name: raw.name.clone(),
            mode: pick(raw, |keys| &keys.mode).unwrap_or(TicketMode::Automatic),
            expire: Span::ZERO,
            acquire_after: Span::ZERO,
            timeout: Span::ZERO,
            retries: 0,
            renewal: Span::ZERO,
            weights,
            rules: rules.clone(),
            has_handler: handler.is_some(),
        };
        match times::settle(raw, &mut spec, &mut self.warnings) {
            Ok(()) => Some(TicketConfig { spec, handler }),
            Err((line, problem)) => {
                self.error(line, problem);
                None
            }
        }
    }

    /// Warns of what is unusual about the whole file.
    fn remarks(&mut self, members: &[ConfiguredMember], tickets: &[TicketConfig]) {
        if tickets.is_empty() {
            self.warn(None, "no ticket is configured");
        }
        if members.is_empty() {
            self.warn(None, "no site and no arbitrator is configured");
        } else if members.iter().all(|it| it.member.role == MemberRole::Arbitrator) {
            self.warn(None, "no site is configured: no ticket can be held");
        } else if members.len() == 2
            && members.iter().all(|it| it.member.role == MemberRole::Site)
            && tickets.iter().any(|it| it.spec.mode == TicketMode::Automatic)
        {
            self.warn(
                None,
                "there are 2 sites and no arbitrator: if one is lost, the other has no majority, \
                 and no ticket moves to it; add an arbitrator",
            );
        } else if members.len() % 2 == 0 {
            let text = format!(
                "there are {} members; an odd number is recommended, because more than half must \
                 be alive",
                members.len()
            );
            self.warn(None, text);
        }
    }

    fn into_warnings(mut self, path: &Path) -> Vec<String> {
        let more = |count| format!("{count} more warnings; only the first {ERRORS_MAX} are shown");
        in_order(&mut self.warnings, more);
        let path = path.display();
        let in_words = |(line, text): (Option<usize>, String)| match line {
            None => format!("{path}: {text}"),
            Some(line) => format!("{path}:{line}: {text}"),
        };
        self.warnings.into_iter().map(in_words).collect()
    }

    fn into_errors(mut self, path: &Path) -> Vec<ConfigError> {
        in_order(&mut self.errors, |count| Problem::More { count });
        let located = |(line, problem)| ConfigError::new(path, line, problem);
        self.errors.into_iter().map(located).collect()
    }
}

/// In the order of the file, the first [`ERRORS_MAX`], and how many more there are.
fn in_order<T>(found: &mut Vec<(Option<usize>, T)>, more: impl Fn(usize) -> T) {
    found.sort_by_key(|(line, _)| *line);
    let surplus = found.len().saturating_sub(ERRORS_MAX);
    if surplus > 0 {
        found.truncate(ERRORS_MAX);
        found.push((None, more(surplus)));
    }
}

fn configured(raw: &RawMember, address: SocketAddr) -> ConfiguredMember {
    let scope_id = match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    };
    let RawMember { role, port, line, .. } = *raw;
    let address = address.ip();
    let member = Member { id: MemberId::of_address(address), role, address };
    ConfiguredMember { member, port, text: raw.text.clone(), scope_id, line }
}

/// Why no member can be reached at this address; `None` if one can.
///
/// Reference: accepts all addresses, and then talks to nobody or to everybody.
fn unusable(address: IpAddr) -> Option<&'static str> {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() {
        Some("it is the unspecified address")
    } else if address.is_multicast() || broadcast {
        Some("it is a multicast or broadcast address")
    } else {
        None
    }
}

fn account(
    user: Option<Located<String>>,
    group: Option<Located<String>>,
    default_user: &str,
    default_group: &str,
) -> Account {
    Account {
        user_configured: user.is_some(),
        group_configured: group.is_some(),
        user: user.map_or_else(|| default_user.to_owned(), |located| located.value),
        group: group.map_or_else(|| default_group.to_owned(), |located| located.value),
    }
}
