-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- Wireshark: shows what members of Booth send each other (UDP) and what clients ask (TCP), as
-- src/core/wire/PROTOCOL.md describes it; P1 and so on are its paragraphs. Packets on other ports
-- than 9929 are recognized by their magic number. To use this file without installing it:
--
--   tshark -X lua_script:booth.lua -r FILE        wireshark -X lua_script:booth.lua

local booth = Proto("booth", "Booth")

local PORT = 9929
local MAGIC, VERSION, NOBODY = 0x5F1BA08C, 0x00010003, 0xFFFFFFFF
local HEADER, MAC, TICKET, ATTRIBUTE = 48, 28, 76, 256
-- No packet is longer.
local LONGEST = 33000000

-- P5, P12
local COMMANDS = {
    CLst = "list", CGnt = "grant", CRvk = "revoke", Peer = "peers", ASet = "set attribute",
    AGet = "get attribute", ADel = "delete attribute", ALst = "list attributes", Rprt = "report",
    Rslt = "result", RLst = "text", Stat = "STATUS", MIdx = "MY_INDEX", RVot = "REQ_VOTE",
    VtFr = "VOTE_FOR", HrtB = "HEARTBEAT", ["Ack."] = "ACK", UpdE = "UPDATE", Revk = "REVOKE",
    ["RJC!"] = "REJECTED", Hllo = "HELLO",
}
local RESULTS = {
    More = "not final", Pend = "not committed yet", Fail = "failed", IArg = "no such ticket",
    NAtr = "no such attribute", XPrg = "the handler failed", APrq = "attr-prereq does not hold",
    Tidl = "not granted", Over = "already granted", Busy = "try again",
    Auth = "authentication failed", Redr = "ask the leader", TOdt = "your term is outdated",
    TVld = "the term is still valid", Outd = "your ticket is outdated", Asyn = "asynchronous",
    Sccs = "success", ["Suc?"] = "probably a success",
}
local REASONS = {
    Aaaa = "again", TLst = "ticket lost", Racq = "acquire again", Admn = "administrator",
    LocF = "local failure", Spdn = "step-down", Splt = "split votes",
}
local CAUSES = {
    Load = "the store is being read", Grac = "the member has just started", Elec = "election",
    Hndl = "handler", Cmmt = "sites that did not answer", CibW = "the store is being written",
    CibF = "the store fails", Objn = "another store may say granted",
}
-- Which payload a command of a client has (P2). Of the others, all packets between members but
-- HELLO have a ticket, and answers have text, a ticket or nothing.
local ATTRIBUTES = { ASet = true, AGet = true, ADel = true, ALst = true }
local REQUESTS = { CLst = true, CGnt = true, CRvk = true, Peer = true, ASet = true, ADel = true }
local ANSWERS = { Rslt = true, RLst = true, Hllo = true }
local ROUNDS = { HrtB = true, UpdE = true, Revk = true }

local f = {}
local function number(name, label, display, mask)
    f[name] = ProtoField.uint32("booth." .. name, label, display or base.DEC, nil, mask)
end
local function flag(name, label, mask)
    f[name] = ProtoField.bool("booth." .. name, label, 32, nil, mask)
end
local function text(name, label)
    f[name] = ProtoField.string("booth." .. name, label)
end

number("opts", "Opts", base.HEX)
flag("authenticated", "Authenticated", 0x00000001)
flag("bound", "Bound to its receiver", 0x00000008)
number("bond", "Bond", base.HEX, 0xFFFFFFF0)
number("secs", "Seconds")
number("usecs", "Microseconds")
f.time = ProtoField.absolute_time("booth.time", "Clock of the sender", base.UTC)
number("magic", "Magic", base.HEX)
number("version", "Version", base.HEX)
number("from", "From", base.HEX)
number("length", "Length")
text("cmd", "Command")
text("request", "In answer to")
number("options", "Options", base.HEX)
number("reason_raw", "Reason (number)", base.HEX)
text("reason", "Reason")
text("cause", "Waits for")
number("result_raw", "Result (number)", base.HEX)
text("result", "Result")
-- Clients (P1, P12, P25)
flag("force", "-F", 0x00000001)
flag("wait", "-w", 0x00000002)
flag("wait_commit", "-C", 0x00000004)
flag("explain", "Asks for causes", 0x00000008)
flag("history", "Asks for the whole history", 0x00000010)
number("wait_secs", "Waits at most (s)")
-- Members (P8, P9, P24)
number("round", "Round", base.DEC, 0x7FFFFFFF)
flag("established", "Established", 0x80000000)
flag("millis", "Validity is in milliseconds", 0x80000000)
flag("vote_force", "-F of an administrator", 0x00000001)
number("vote_nonce", "Nonce of the question", base.DEC, 0x7FFFFFFE)
flag("vouched", "Keeps the rules, out of grace", 0x80000000)
number("unbound", "Bound to nobody else for (ms + 1)", base.DEC, 0x7FFFFFFF)
flag("last_revoked", "Was revoked", 0x80000000)
number("last_term", "Last known term", base.DEC, 0x7FFFFFFF)
flag("granted", "Objection: granted", 0x80000000)
number("nonce", "Nonce", base.DEC, 0x3FFFFFFF)
flag("probe", "Probe", 0x40000000)
number("digest", "Digest of the configuration", base.HEX)
number("life", "Life of the sender", base.HEX)
-- Payloads (P2)
text("ticket", "Ticket")
number("leader", "Leader", base.HEX)
number("term", "Term")
number("valid_for", "Valid for (s or ms)")
text("attr_ticket", "Ticket")
text("attr_name", "Attribute")
text("attr_value", "Value")
text("text", "Text")
f.zeroes = ProtoField.bytes("booth.zeroes", "Zeroes after the request")
-- P3
number("mac_hash", "Hash id")
f.mac = ProtoField.bytes("booth.mac", "HMAC-SHA1")
f.mac_padding = ProtoField.bytes("booth.mac_padding", "Padding")

local e = {
    version = ProtoExpert.new("booth.version.unknown", "The version is not known",
        expert.group.PROTOCOL, expert.severity.WARN),
    length = ProtoExpert.new("booth.length.wrong", "The length does not fit the command",
        expert.group.MALFORMED, expert.severity.ERROR),
    magic = ProtoExpert.new("booth.magic.wrong", "This is not a packet of Booth",
        expert.group.MALFORMED, expert.severity.ERROR),
}

for _, field in pairs(f) do booth.fields[#booth.fields + 1] = field end
booth.experts = { e.version, e.length, e.magic }
local over_tcp = Field.new("tcp.stream")

-- The text before the first NUL byte.
local function padded(range)
    return (range:string():gsub("%z.*", ""))
end

-- Four letters; nil if the number is none.
local function letters(range)
    local code = range:string()
    return #code == 4 and code:match("^[%w.!?]+$") and code or nil
end

-- Adds a code of four letters and what it means; returns the letters.
local function add_code(tree, field, range, meanings, zero)
    if range:uint() == 0 then
        tree:add(field, range, ""):append_text(zero)
        return ""
    end
    local code = letters(range) or tostring(range)
    tree:add(field, range, code):append_text(" (" .. (meanings[code] or "unknown") .. ")")
    return code
end

local function add_member(tree, field, range)
    local item = tree:add(field, range)
    if range:uint() == NOBODY then
        item:append_text(" (nobody)")
    elseif range:uint() == 0 then
        item:append_text(" (not known)")
    end
end

local function add_each(tree, range, ...)
    for _, name in ipairs({ ... }) do tree:add(f[name], range) end
end

-- What the fields `options`, `reason` and `result` of a packet between members say (P8, P9, P24).
local function add_marks(tree, tvb, cmd, leader)
    local options, reason, result = tvb(36, 4), tvb(40, 4), tvb(44, 4)
    local life = result
    local to_somebody = cmd == "VtFr" and leader ~= NOBODY
    if ROUNDS[cmd] or (cmd == "VtFr" and not to_somebody) then
        add_each(tree, options, "round", "established")
    elseif cmd == "Ack." then
        add_each(tree, options, "round", "millis")
    elseif cmd == "RVot" then
        add_each(tree, options, "vote_nonce", "vote_force", "established")
    elseif to_somebody then
        add_each(tree, options, "unbound", "vouched")
        add_each(tree, reason, "last_term", "last_revoked")
    elseif cmd == "RJC!" then
        add_each(tree, options, "granted")
        life = reason
    elseif cmd == "Stat" or cmd == "MIdx" then
        add_each(tree, options, "nonce", "probe")
        if options:bitfield(1, 1) == 1 then add_each(tree, reason, "digest") end
    end
    if cmd == "RVot" or cmd == "Revk" or (cmd == "VtFr" and not to_somebody) then
        add_code(tree, f.reason, reason, REASONS, "none")
    end
    if cmd == "RJC!" then add_code(tree, f.result, result, RESULTS, "none") end
    if life:uint() ~= 0 then tree:add(f.life, life) end
end

-- The same of a request and of an answer of a client.
local function add_wishes(tree, tvb, cmd, is_answer)
    local options, reason, result = tvb(36, 4), tvb(40, 4), tvb(44, 4)
    if cmd == "Hllo" then
        tree:add(f.life, result)
    elseif is_answer then
        add_code(tree, f.result, result, RESULTS, "success")
        if reason:uint() ~= 0 then
            add_code(tree, f.cause, reason, CAUSES, "")
            tree:add(f.wait_secs, options)
        end
    elseif cmd == "Rprt" then
        tree:add(f.history, options)
    else
        add_each(tree, options, "force", "wait", "wait_commit", "explain")
    end
end

local function add_header(tree, tvb)
    local opts = tree:add(f.opts, tvb(0, 4))
    add_each(opts, tvb(0, 4), "authenticated", "bound", "bond")
    tree:add(f.secs, tvb(4, 4))
    tree:add(f.usecs, tvb(8, 4))
    if tvb(4, 4):uint() ~= 0 then
        local stamp = NSTime.new(tvb(4, 4):uint(), (tvb(8, 4):uint() % 1000000) * 1000)
        tree:add(f.time, tvb(4, 8), stamp)
    end
    tree:add(f.magic, tvb(12, 4))
    local version = tree:add(f.version, tvb(16, 4))
    if tvb(16, 4):uint() ~= VERSION then version:add_proto_expert_info(e.version) end
    add_member(tree, f.from, tvb(20, 4))
    local length = tree:add(f.length, tvb(24, 4))
    local cmd = add_code(tree, f.cmd, tvb(28, 4), COMMANDS, "none")
    add_code(tree, f.request, tvb(32, 4), COMMANDS, "nothing")
    tree:add(f.options, tvb(36, 4))
    tree:add(f.reason_raw, tvb(40, 4))
    tree:add(f.result_raw, tvb(44, 4))
    return cmd, length
end

-- Adds a payload; returns what the column Info says of it.
local function add_payload(tree, range, is_attribute)
    if is_attribute then
        tree:add(f.attr_ticket, range(0, 64), padded(range(0, 64)))
        tree:add(f.attr_name, range(64, 64), padded(range(64, 64)))
        tree:add(f.attr_value, range(128, 128), padded(range(128, 128)))
        return " " .. padded(range(0, 64)) .. " " .. padded(range(64, 64))
    end
    local name = padded(range(0, 64))
    tree:add(f.ticket, range(0, 64), name)
    add_member(tree, f.leader, range(64, 4))
    tree:add(f.term, range(68, 4))
    tree:add(f.valid_for, range(72, 4))
    return name == "" and "" or (" " .. name .. ", term " .. range(68, 4):uint())
end

local function add_mac(tree, range)
    tree:add(f.mac_hash, range(0, 4))
    tree:add(f.mac, range(4, 20))
    tree:add(f.mac_padding, range(24, 4))
end

-- Whether a packet over TCP answers a client. Some commands are both request and answer: then the
-- port decides, and the length if neither port is Booth's.
local function answers(pinfo, cmd, payload)
    if ANSWERS[cmd] then return true end
    if REQUESTS[cmd] then return false end
    if pinfo.src_port == PORT then return true end
    if pinfo.dst_port == PORT then return false end
    return payload ~= (ATTRIBUTES[cmd] and ATTRIBUTE or TICKET)
end

-- One packet, all of it and nothing else. Returns what the column Info says of it.
local function packet(tvb, pinfo, root)
    local tree = root:add(booth, tvb())
    local cmd, length = add_header(tree, tvb)
    local authenticated = tvb(0, 4):bitfield(31, 1) == 1
    local size = tvb:len() - HEADER - (authenticated and MAC or 0)
    local client = over_tcp() ~= nil
    local answer = client and answers(pinfo, cmd, size)
    if size < 0 or tvb(24, 4):uint() ~= tvb:len() then
        length:add_proto_expert_info(e.length)
        return cmd .. " [length]"
    end
    -- Texts follow the MAC; only the report, which the MAC covers, is before it.
    local has_text = answer and cmd ~= "Rslt" and cmd ~= "Hllo"
    local mac_at = has_text and cmd ~= "Rprt" and HEADER or tvb:len() - MAC
    local at = authenticated and mac_at == HEADER and HEADER + MAC or HEADER
    local expected = ATTRIBUTES[cmd] and not answer and ATTRIBUTE or TICKET
    local leader = NOBODY
    local info = (answer and "answer: " or "") .. (COMMANDS[cmd] or cmd)
    if has_text then
        if size > 0 then tree:add(f.text, tvb(at, size), tvb(at, size):string()) end
        info = info .. ", " .. size .. " bytes"
    elseif size == expected and cmd ~= "Hllo" then
        info = info .. add_payload(tree, tvb(at, size), expected == ATTRIBUTE)
        if expected == TICKET then leader = tvb(at + 64, 4):uint() end
    elseif size ~= 0 or not (cmd == "Hllo" or cmd == "Rslt") then
        length:add_proto_expert_info(e.length)
    end
    local marks = tree:add(booth, tvb(36, 12), "Options, reason and result")
    if client then
        add_wishes(marks, tvb, cmd, answer)
    else
        add_marks(marks, tvb, cmd, leader)
    end
    if answer and cmd == "Rslt" then
        local code = letters(tvb(44, 4))
        info = info .. ", " .. (tvb(44, 4):uint() == 0 and "success" or RESULTS[code] or "unknown")
    end
    if authenticated then add_mac(tree:add(booth, tvb(mac_at, MAC), "MAC"), tvb(mac_at, MAC)) end
    return info
end

local function is_ours(tvb)
    return tvb:len() >= 20 and tvb(12, 4):uint() == MAGIC
end

-- Packets of a stream, which may be cut anywhere. Clients of the C version send zeroes after some
-- requests (P13).
local function stream(tvb, pinfo, tree)
    local at, infos = 0, {}
    while at < tvb:len() do
        local rest = tvb(at)
        local left = rest:len()
        if left <= MAC and rest:bytes() == ByteArray.new(string.rep("00", left)) then
            tree:add(booth, rest):add(f.zeroes, rest)
            at = tvb:len()
        elseif left < HEADER then
            pinfo.desegment_offset = at
            pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
            return
        elseif not is_ours(rest:tvb()) then
            tree:add(booth, rest):add_proto_expert_info(e.magic)
            return
        else
            local length = math.max(tvb(at + 24, 4):uint(), HEADER)
            if length > LONGEST then
                tree:add(booth, rest):add_proto_expert_info(e.length)
                return
            elseif length > left then
                pinfo.desegment_offset = at
                pinfo.desegment_len = length - left
                return
            end
            infos[#infos + 1] = packet(tvb(at, length):tvb(), pinfo, tree)
            at = at + length
        end
    end
    if #infos > 0 then pinfo.cols.info = table.concat(infos, "; ") end
end

function booth.dissector(tvb, pinfo, tree)
    pinfo.cols.protocol = "Booth"
    if over_tcp() then
        stream(tvb, pinfo, tree)
    elseif tvb:len() < HEADER or not is_ours(tvb) then
        tree:add(booth, tvb()):add_proto_expert_info(e.magic)
    else
        pinfo.cols.info = packet(tvb, pinfo, tree)
    end
    return tvb:len()
end

local function recognize(tvb, pinfo, tree)
    if tvb:len() < HEADER or not is_ours(tvb) then return false end
    if over_tcp() then pinfo.conversation = booth end
    booth.dissector(tvb, pinfo, tree)
    return true
end

booth:register_heuristic("udp", recognize)
booth:register_heuristic("tcp", recognize)
DissectorTable.get("udp.port"):add(PORT, booth)
DissectorTable.get("tcp.port"):add(PORT, booth)
