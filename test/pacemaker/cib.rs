// SPDX-License-Identifier: GPL-2.0-or-later
//! What the administrator of a site has configured: text of a CIB.

/// A primitive with parameters and, unless `monitor` is 0, a monitor every so many seconds.
pub fn primitive(id: &str, agent: &str, parameters: &[(&str, &str)], monitor: u32) -> String {
    let (provider, kind) = agent.split_once(':').expect("PROVIDER:TYPE");
    let mut text = format!(
        "<primitive id=\"{id}\" class=\"ocf\" provider=\"{provider}\" type=\"{kind}\">\
         <instance_attributes id=\"{id}-parameters\">"
    );
    for (name, value) in parameters {
        text.push_str(&format!("<nvpair id=\"{id}-{name}\" name=\"{name}\" value=\"{value}\"/>"));
    }
    text.push_str("</instance_attributes><operations>");
    let operations = [("start", 0), ("stop", 0), ("monitor", monitor)];
    for (name, interval) in operations.iter().filter(|(name, i)| *name != "monitor" || *i > 0) {
        text.push_str(&format!(
            "<op id=\"{id}-{name}\" name=\"{name}\" interval=\"{interval}s\" timeout=\"20s\"/>"
        ));
    }
    text + "</operations></primitive>"
}

/// Booth at a site: its address and its daemon.
pub fn booth(agent: &str, address: &str, config: &str) -> String {
    let ip =
        primitive("booth-ip", "heartbeat:IPaddr2", &[("ip", address), ("cidr_netmask", "24")], 10);
    let daemon = primitive("booth", agent, &[("config", config)], 3);
    format!("<group id=\"g-booth\">{ip}{daemon}</group>")
}

/// The resource `rsc` of the tests, which takes `seconds` to stop.
pub fn service(seconds: u32) -> String {
    primitive("rsc", "booth-test:Recorder", &[("op_sleep", &seconds.to_string())], 5)
}

/// `resource` may run only with `ticket`, and stops without it.
pub fn under_ticket(resource: &str, ticket: &str) -> String {
    format!(
        "<rsc_ticket id=\"{resource}-with-{ticket}\" rsc=\"{resource}\" ticket=\"{ticket}\" \
         loss-policy=\"stop\"/>"
    )
}

/// The whole. Its versions are what Pacemaker 2.1 and 3 both accept. With these options a node
/// alone starts within seconds, not after 20.
pub fn whole(resources: &str, constraints: &str) -> String {
    let mut options = String::new();
    let values =
        [("dc-deadtime", "2s"), ("stonith-enabled", "false"), ("no-quorum-policy", "ignore")];
    for (name, value) in values {
        options.push_str(&format!("<nvpair id=\"o-{name}\" name=\"{name}\" value=\"{value}\"/>"));
    }
    format!(
        "<cib crm_feature_set=\"3.16.0\" validate-with=\"pacemaker-3.9\" epoch=\"1\" \
         num_updates=\"0\" admin_epoch=\"0\"><configuration><crm_config>\
         <cluster_property_set id=\"options\">{options}</cluster_property_set></crm_config><nodes/>\
         <resources>{resources}</resources><constraints>{constraints}</constraints>\
         </configuration><status/></cib>\n"
    )
}
