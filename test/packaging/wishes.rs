// SPDX-License-Identifier: GPL-2.0-or-later
//! `service-runnable` where an administrator does not want a resource to run: that is no failure,
//! and no reason to give the ticket up.

use super::{end_with, succeed, top, write_script};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Answers as `crm_simulate` does: saves `cib` as the copy, and computes `as-it-is` for a copy in
/// which something is stopped by a wish, `lifted` for another one.
const SIMULATE: &str = r#"#!/bin/sh
here=${0%/*}
for word in "$@"; do
	case $word in
	--save-input=*) cp "$here/cib" "${word#*=}" ;;
	--xml-file=*)
		if grep -qi -e 'value="stopped"' -e '"stop-all-resources" value="true"' "${word#*=}"; then
			cat "$here/as-it-is"
		else
			cat "$here/lifted"
		fi ;;
	esac
done
"#;

/// What runs: name and further attributes, as Pacemaker 2.1 and 3.0 print them. A name may begin
/// with the element that it has, if that is no resource: `<group g`; and end one: `</group>`.
fn outcome(resources: &[(&str, &str)]) -> String {
    let line = |(id, state): &(&str, &str)| match id.strip_prefix('<').map(|id| id.split_once(' '))
    {
        Some(Some((element, id))) => format!("      <{element} id=\"{id}\" {state}>\n"),
        Some(None) => format!("      {id}\n"),
        None => format!("      <resource id=\"{id}\" orphaned=\"false\" {state}/>\n"),
    };
    let lines: String = resources.iter().map(line).collect();
    format!(
        "<pacemaker-result>\n  <revised_cluster_status>\n    <resources>\n{lines}    \
         </resources>\n  </revised_cluster_status>\n</pacemaker-result>\n"
    )
}

const ON: &str =
    "role=\"Started\" active=\"true\" blocked=\"false\" managed=\"true\" failed=\"false\"";
const OFF: &str =
    "role=\"Stopped\" active=\"false\" blocked=\"false\" managed=\"true\" failed=\"false\"";
const WISHED_OFF: &str = "role=\"Stopped\" target_role=\"Stopped\" active=\"false\" \
                          blocked=\"false\" managed=\"true\" failed=\"false\"";
const UNMANAGED: &str =
    "role=\"Stopped\" active=\"false\" blocked=\"false\" managed=\"false\" failed=\"false\"";
const BLOCKED: &str =
    "role=\"Started\" active=\"true\" blocked=\"true\" managed=\"false\" failed=\"true\"";
/// What an administrator stops has a line like this in the CIB.
const STOPPED: &str = "<nvpair id=\"m\" name=\"target-role\" value=\"stopped\"/>\n";

/// A cluster with this CIB, and what runs in it, with the wishes and without.
fn cluster(cib: &str, as_it_is: &[(&str, &str)], lifted: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    write_script(&at("crm_simulate"), SIMULATE);
    fs::write(at("cib"), format!("<cib>\n{cib}</cib>\n")).expect("written");
    fs::write(at("as-it-is"), outcome(as_it_is)).expect("written");
    fs::write(at("lifted"), outcome(lifted)).expect("written");
    directory
}

fn runnable(directory: &Path, resource: &str) -> Command {
    let mut command = Command::new(top().join("scripts/service-runnable"));
    let path = std::env::var("PATH").expect("a PATH");
    command.env("PATH", format!("{}:{path}", directory.display()));
    command.env("TMPDIR", directory).env("BOOTH_TICKET", "t1").arg(resource);
    command
}

#[test]
fn a_ticket_in_standby_is_kept() {
    let state = |id: &str, standby: &str| {
        format!("<ticket_state id=\"{id}\" granted=\"true\" standby=\"{standby}\"/>\n")
    };
    let down = [("d", OFF)];
    let standby = cluster(&state("t1", "true"), &down, &down);
    succeed(&mut runnable(standby.path(), "d"));
    // A name that nothing has is a mistake in booth.conf at any time.
    end_with(1, &mut runnable(standby.path(), "unheard-of"));
    for cib in [state("t1", "false"), state("t2", "true"), state("t11", "true")] {
        end_with(1, &mut runnable(cluster(&cib, &down, &down).path(), "d"));
    }
}

#[test]
fn a_resource_that_is_stopped_by_wish_is_no_failure() {
    // It would not even run without the wish: it has failed, and is stopped for repair.
    let one = cluster(STOPPED, &[("d", WISHED_OFF)], &[("d", OFF)]);
    succeed(&mut runnable(one.path(), "d"));
    let one = cluster("", &[("d", UNMANAGED)], &[("d", UNMANAGED)]);
    succeed(&mut runnable(one.path(), "d"));
    // What failed and is blocked for that is not managed either.
    let one = cluster("", &[("d", BLOCKED)], &[("d", BLOCKED)]);
    end_with(1, &mut runnable(one.path(), "d"));
}

#[test]
fn the_rest_of_a_group_waits_for_what_is_stopped_by_wish() {
    let group = |first, second, third| {
        let all =
            [("<group g", "disabled=\"false\""), ("g1", first), ("g2", second), ("g3", third)];
        [&all[..], &[("</group>", "")]].concat()
    };
    let ask = |first, second, third| {
        let resources = group(first, second, third);
        runnable(cluster(STOPPED, &resources, &group(OFF, OFF, OFF)).path(), "g")
            .output()
            .expect("it runs")
            .status
            .success()
    };
    assert!(ask(ON, WISHED_OFF, OFF));
    assert!(ask(WISHED_OFF, WISHED_OFF, WISHED_OFF));
    assert!(!ask(ON, OFF, WISHED_OFF), "the second has failed");
    assert!(!ask(OFF, WISHED_OFF, OFF), "the first has failed");
}

#[test]
fn what_needs_a_resource_that_is_stopped_by_wish_is_judged_without_the_wish() {
    let all = "<nvpair id=\"a\" name=\"stop-all-resources\" value=\"true\"/>\n";
    for cib in [STOPPED, all] {
        let could = cluster(cib, &[("d", OFF), ("x", OFF)], &[("d", ON), ("x", ON)]);
        succeed(&mut runnable(could.path(), "x"));
        let could_not = cluster(cib, &[("d", OFF), ("x", OFF)], &[("d", ON), ("x", OFF)]);
        end_with(1, &mut runnable(could_not.path(), "x"));
    }
}

/// Of a clone of a group, and of a bundle, one whole instance has to run.
#[test]
fn what_runs_in_part_in_every_instance_does_not_run() {
    let clone = |instances: [[&'static str; 2]; 2]| {
        let mut all = vec![("<clone c", "managed=\"true\"")];
        for [first, second] in instances {
            all.extend([("<group g:0", "managed=\"true\""), ("p1", first)]);
            all.extend([("p2", second), ("</group>", "")]);
        }
        all.push(("</clone>", ""));
        all
    };
    let bundle = |instances: [[&'static str; 2]; 2]| {
        let mut all = vec![("<bundle c", "managed=\"true\"")];
        for [address, container] in instances {
            all.extend([("<replica 0", ""), ("ip", address), ("inside", container)]);
            all.extend([("docker", container), ("</replica>", "")]);
        }
        all.push(("</bundle>", ""));
        all
    };
    let ask = |all: &[(&str, &str)]| {
        let output = runnable(cluster("", all, all).path(), "c").output().expect("it runs");
        output.status.success()
    };
    for (instances, runs) in [
        ([[ON, ON], [ON, ON]], true),
        ([[OFF, OFF], [ON, ON]], true),
        ([[ON, ON], [ON, OFF]], true),
        ([[ON, BLOCKED], [ON, BLOCKED]], false),
        ([[ON, OFF], [OFF, ON]], false),
        ([[ON, OFF], [ON, WISHED_OFF]], true),
        ([[WISHED_OFF, WISHED_OFF], [OFF, OFF]], true),
        ([[OFF, OFF], [OFF, OFF]], false),
    ] {
        assert_eq!(ask(&clone(instances)), runs, "clone {instances:?}");
        assert_eq!(ask(&bundle(instances)), runs, "bundle {instances:?}");
    }
    let plain = [("<clone c", ""), ("p", OFF), ("p", ON), ("</clone>", "")];
    assert!(ask(&plain));
    assert!(!ask(&[plain[0], plain[1], plain[3]]));
}
