# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For resource agents that inform the other site through an attribute of a ticket. Example:
# while replication runs, "repl" is "OK" at the other site, and its
# `attr-prereq = auto repl eq OK` allows it to take over the ticket.
#
# An agent includes ocf-shellfuncs and then this file, offers the parameters of
# geo_attr_meta_data, and calls
#
#   geo_attr_validate_all    check the parameters; without booth_ticket, succeed
#   geo_attr_geo_attr        set the attribute at the other site
#   geo_attr_delete_attr     delete it there
#   geo_attr_read_attr       print its value there
#   geo_attr_get_attr        print name and value as configured
#
# Parameters: OCF_RESKEY_booth_ticket, OCF_RESKEY_booth_config, OCF_RESKEY_geo_attribute.

DEFAULT_BOOTH_CONF=/etc/booth/booth.conf
: "${OCF_RESKEY_booth_config:=$DEFAULT_BOOTH_CONF}"

geo_attr_meta_data() {
	cat <<-PARAMETERS
		<parameter name="booth_ticket">
		<longdesc lang="en">
		Name of the ticket whose attribute is kept up to date. Without it, the agent does
		nothing.
		</longdesc>
		<shortdesc lang="en">Ticket</shortdesc>
		<content type="string" default="" />
		</parameter>

		<parameter name="booth_config">
		<longdesc lang="en">
		The configuration of Booth: a file, or a name that stands for /etc/booth/NAME.conf.
		</longdesc>
		<shortdesc lang="en">Configuration of Booth</shortdesc>
		<content type="string" default="$DEFAULT_BOOTH_CONF" />
		</parameter>

		<parameter name="geo_attribute">
		<longdesc lang="en">
		Name of the attribute. By default, the first matching attr-prereq line of the ticket
		names it; set this parameter if the ticket has several such lines.
		</longdesc>
		<shortdesc lang="en">Attribute</shortdesc>
		<content type="string" default="" />
		</parameter>
	PARAMETERS
}

# The file that booth_config stands for.
geo_attr_config_file() {
	case $OCF_RESKEY_booth_config in
	*/*)
		printf '%s\n' "$OCF_RESKEY_booth_config"
		;;
	*)
		if [ -e "/etc/booth/$OCF_RESKEY_booth_config.conf" ]; then
			printf '/etc/booth/%s.conf\n' "$OCF_RESKEY_booth_config"
		else
			printf '/etc/booth/%s\n' "$OCF_RESKEY_booth_config"
		fi
		;;
	esac
}

# Reads the configuration like Booth, as far as needed here: `key = value` lines, with or without
# quotes. Prints "ticket" if the ticket exists, and "own NAME VALUE" or "default NAME VALUE" for each
# automatic prerequisite of the ticket or of __defaults__ that demands equality.
geo_attr_scan() {
	awk -v wanted="$OCF_RESKEY_booth_ticket" '
		/^[ \t]*#/ { next }
		{
			at = index($0, "=")
			if (!at) next
			key = substr($0, 1, at - 1)
			value = substr($0, at + 1)
			gsub(/^[ \t]+|[ \t]+$/, "", key)
			gsub(/^[ \t]+|[ \t\r]+$/, "", value)
			quote = substr(value, 1, 1)
			if (quote == "\"" || quote == "\047") {
				value = substr(value, 2)
				end = index(value, quote)
				if (end) value = substr(value, 1, end - 1)
			} else {
				sub(/[ \t]+#.*$/, "", value)
			}
		}
		key == "ticket" {
			section = value == wanted ? "own" : value == "__defaults__" ? "default" : ""
			if (section == "own") print "ticket"
		}
		key == "attr-prereq" && section {
			count = split(value, word, /[ \t]+/)
			if (count == 4 && word[1] == "auto" && word[3] == "eq")
				print section " " word[2] " " word[4]
		}
	' "$(geo_attr_config_file)"
}

geo_attr_get_attr() {
	geo_attr_scan | awk -v wanted="${OCF_RESKEY_geo_attribute:-}" '
		$1 != "ticket" && (wanted == "" || $2 == wanted) && !($1 in found) { found[$1] = $2 " " $3 }
		END {
			if ("own" in found) print found["own"]
			else if ("default" in found) print found["default"]
		}
	'
}

geo_attr_name() {
	geo_attr_get_attr | cut -d ' ' -f 1
}

geo_attr_value() {
	geo_attr_get_attr | cut -d ' ' -f 2
}

# geo_attr_geostore OPERATION ARGUMENT...: runs geostore for the other site.
geo_attr_geostore() {
	geo_attr_operation=$1
	shift
	geostore "$geo_attr_operation" -c "$OCF_RESKEY_booth_config" -s other \
		-t "$OCF_RESKEY_booth_ticket" "$@"
}

geo_attr_geo_attr() {
	[ -n "$OCF_RESKEY_booth_ticket" ] || return 0
	geo_attr_geostore set "$(geo_attr_name)" "$(geo_attr_value)"
}

geo_attr_delete_attr() {
	[ -n "$OCF_RESKEY_booth_ticket" ] || return 0
	geo_attr_geostore delete "$(geo_attr_name)"
}

geo_attr_read_attr() {
	[ -n "$OCF_RESKEY_booth_ticket" ] || return 0
	geo_attr_geostore get "$(geo_attr_name)"
}

geo_attr_validate_all() {
	[ -n "${OCF_RESKEY_booth_ticket:-}" ] || return 0
	if [ ! -r "$(geo_attr_config_file)" ]; then
		ocf_log err "there is no configuration $(geo_attr_config_file) of Booth"
		return 1
	fi
	if ! geo_attr_scan | grep -qx ticket; then
		ocf_log err "$(geo_attr_config_file) has no ticket $OCF_RESKEY_booth_ticket"
		return 1
	fi
	if [ -z "$(geo_attr_get_attr)" ]; then
		ocf_log err "ticket $OCF_RESKEY_booth_ticket has no matching line attr-prereq = auto NAME eq VALUE"
		return 1
	fi
	return 0
}
