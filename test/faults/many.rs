// SPDX-License-Identifier: GPL-2.0-or-later
//! A site with two hundred tickets that is cut off from its peers: all of its leases end at about
//! the same time, and each ticket is revoked before its own has.

use booth_harness::{ask, now, run, test_name, until, Cluster, Need, Setup};
use std::time::Duration;

const TICKETS: usize = 200;
const NEEDS: &[Need] = &[Need::Root];

/// Writes what the fake `crm_ticket` writes, in 30 ms and with fewer processes.
const QUICK: &str = "#!/bin/sh
cd \"${0%/*}/../crm\" || exit 1
sleep 0.03
element() {
	echo \"<ticket_state id=\\\"$1\\\" granted=\\\"$granted\\\" $all/>\"
}
if [ \"$1\" = -q ]; then
	echo '<tickets>'
	for file in cib.*; do
		while read -r _ g attributes; do granted=$g all=$attributes; done <\"$file\"
		element \"${file#cib.}\"
	done
	echo '</tickets>'
	exit 0
fi
[ -s \"cib.$2\" ] && while read -r _ g attributes; do granted=$g all=$attributes; done <\"cib.$2\"
case \" $* \" in
*' -q '*)
	[ -s \"cib.$2\" ] || exit 105
	element \"$2\"
	exit 0
	;;
*' -g '*) granted=true ;;
*) granted=false ;;
esac
attributes=
ticket=$2
while [ $# -gt 0 ]; do
	[ \"$1\" != -S ] || attributes=\"$attributes$2=\\\"${3#*=}\\\" \"
	shift
done
printf '%s\\t%s\\t%s\\n' \"$(date +%s.%N)\" \"$granted\" \"$attributes\" >>\"cib.$ticket\"
";

fn name(n: usize) -> String {
    format!("t{n}")
}

/// A cluster in which site 0 holds all tickets.
fn holding_all(lab: &booth_harness::Lab) -> Cluster<'_> {
    let times = "expire = 40\ntimeout = 3\nretries = 3\nrenewal-freq = 20\n";
    let tickets = (0..TICKETS).map(|n| format!("ticket = \"{}\"\n{times}", name(n)));
    let mut cluster = Cluster::new(lab, &Setup::usual().tickets(tickets.collect::<String>()));
    for site in [0, 1] {
        std::fs::write(cluster.crm(site).bin().join("crm_ticket"), QUICK).expect("written");
        (0..TICKETS).for_each(|n| cluster.crm(site).put(&name(n), false, &[]));
    }
    cluster.start_all();
    let requests: Vec<_> = (0..TICKETS).map(|n| cluster.request(0, "CGnt", &name(n))).collect();
    let address = cluster.address(0);
    std::thread::scope(|scope| {
        for some in requests.chunks(TICKETS / 8) {
            scope.spawn(move || {
                for request in some {
                    drop(ask(address, request, None, Duration::from_secs(10)));
                }
            });
        }
    });
    until(Duration::from_secs(40), "site 0 has every ticket", || {
        (0..TICKETS).all(|n| cluster.crm(0).is_granted(&name(n))).then_some(())
    });
    cluster
}

#[test]
fn two_hundred_tickets_of_a_site_that_is_cut_off_are_revoked_before_their_leases_end() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding_all(lab);
        let cut = now();
        cluster.members[1].signal("STOP");
        cluster.members[2].signal("STOP");
        until(Duration::from_secs(60), "every ticket is revoked", || {
            (0..TICKETS).all(|n| !cluster.crm(0).is_granted(&name(n))).then_some(())
        });
        let mut least = f64::MAX;
        for n in 0..TICKETS {
            let history = cluster.crm(0).history(&name(n));
            // What follows the last grant; a revoke may be written more than once.
            let granted = history.iter().rposition(|change| change.granted == Some(true));
            let granted = granted.expect("it was granted");
            let revoked = history[granted + 1].at;
            // Rounded down from the end of the lease.
            let lease_until = history[granted].number("expires") as f64;
            assert!(revoked > cut, "{n}: {history:#?}");
            assert!(revoked < lease_until, "{n}: {:.3} s late", revoked - lease_until);
            least = least.min(lease_until - revoked);
        }
        println!(
            "{TICKETS} tickets: revoked at least {least:.2} s before the lease ended, g = 4 s"
        );
    });
}
