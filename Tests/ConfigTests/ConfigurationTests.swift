import Bytes
import Config
import JSON
import Schema
import Testing

@Suite struct ConfigurationTests {
  static func check(_ text: String, _ environment: [String: String] = [:]) -> ConfigCheck {
    Configuration.check(
      file: "s.json5", text: [UInt8](text.utf8), environment: environment,
      channelTypes: ["relay", "broadcast", "cursor", "board", "echo"],
      callHandlers: ["conformance", "clock"])
  }

  @Test func nothingWrittenMeansTheDefaults() {
    #expect(Configuration.check(file: "none", text: nil).configuration == Configuration())
    #expect(Self.check("{}").configuration == Configuration())
    #expect(Self.check("{gateway:{},channels:null,limits:{pingInterval:null}}").problems == [])
    #expect(Configuration().gateway.listen == [.tcp(host: "127.0.0.1", port: 8000)])
  }

  @Test func aChannelTypeSaysWhatItCantServeAtTheLineOfTheOption() {
    let text = """
      { channels: [
        { match: "a", type: "cursor",
          options: { frame: "each",
                     maxUsers: 0 } },
        { match: "b", type: "board" },
        { match: "c", type: "nosuch", options: { maxUsers: 0 } },
        { match: "d", type: "board", history: { size: 0 } },
      ] }
      """
    let check = Configuration.check(
      file: "f", text: [UInt8](text.utf8), channelTypes: ["cursor", "board"]
    ) { rule in
      rule.type == "cursor"
        ? ChannelTypeFault(option: "maxUsers", "too few") : ChannelTypeFault("needs a durable history")
    }
    // A rule whose type or history was refused is not its type's to judge.
    #expect(
      check.problems.map(\.description) == [
        "f:4: channels[0].options.maxUsers: too few",
        "f:5: channels[1].type: needs a durable history",
        "f:6: channels[2].type: no channel type \"nosuch\" is compiled in; there are board, cursor",
        "f:7: channels[3].history.size: write a whole number from 1 to 100000",
      ])
  }

  /// What a problem repeats of the file is shown on one line and moves no cursor.
  @Test(arguments: [
    #"{ gateway: { listen: "a:\n8000" } }"#, #"{ channels: [{ match: "x", type: "\x1b[2Jrelay" }] }"#,
    #"{ "a\u2028b": 1 }"#, #"{ channels: [{ match: "x", publish: "role\r\n" }] }"#,
    "{ a: tr\u{7f}ue }",
  ])
  func aProblemIsOneLineWhateverTheFileSays(text: String) {
    let check = Self.check(text, ["SAPPHIRE_LINKS_HUB": "x\t:1"])
    #expect(!check.problems.isEmpty)
    #expect(check.report.utf8.count { $0 == 10 } == check.problems.count)
    for scalar in check.report.unicodeScalars where scalar != "\n" {
      #expect(scalar.value >= 32 && scalar.value != 0x7F && scalar.value != 0x2028)
    }
  }

  @Test func aSchemaThatCantBeCheckedIsRefusedWithItsLine() {
    let check = Self.check(
      """
      { channels: [{ match: "*", schema: {
        properties: {
          user: { pattern: "(?=x)" } } } }] }
      """)
    #expect(check.problems.map(\.setting) == ["channels[0].schema.properties.user.pattern"])
    #expect(check.problems.first?.place == .line(3))
    #expect(check.problems.first?.reason.contains("backtracking") == true)
  }

  @Test func readsEverySetting() throws {
    let check = Self.check(
      """
      {
        channels: [
          { match: "a:*", type: "board", options: { x: [1, 'y'] }, history: { durable: true },
            subscribe: ["anonymous"], publish: ["role:admin", "user:alice", "user:*"],
            presence: false, compress: false, maxSubscribers: 100, require: ["type", "timestamp"],
            schema: { properties: { type: { maxLength: 20 } } } },
          { match: ["b", "c*"], history: { size: 5, ttl: "90s" }, publish: "none" },
          { match: "d", history: "none" },
          { match: "*", history: {} },
        ],
        gateway: { listen: ["0.0.0.0:80"], loops: 4, anonymous: "off",
                   origins: ["https://app.example.org", "http://localhost:3000"],
                   hosts: ["Chat.Example.org", "10.0.0.2", "[2001:DB8::1]", "*"] },
        hub: { listen: "unix:/run/h" },
        eventstore: { listen: ["unix:/run/e"], data: "/var/lib/e" },
        presence: { lease: "20s", grace: "250ms" },
        links: { hub: "10.0.0.2:7001", eventstore: "[fd00::1]:7002", keyFile: "/etc/k" },
        api: { keyFile: "/etc/api" },
        limits: { wsMessageBytes: "64KiB", httpFields: 50, pingInterval: "1m", connections: 7 },
        compression: { enabled: false, threshold: "2KiB", level: 9, windowBits: 9,
                       contextTakeover: true, contextWindowBits: 12 },
        diagnostics: { echo: "on" },
        log: { level: "warning", format: "json", subsystems: { "gateway.*": "debug" } },
        vault: { directory: "/srv/vault" },
      }
      """)
    #expect(check.problems == [])
    let c = check.configuration
    let rule = c.channels.rules[0]
    #expect(rule.type == "board")
    #expect(String(decoding: rule.options.jsonBytes, as: UTF8.self) == #"{"x":[1,"y"]}"#)
    #expect(rule.history == .durable)
    #expect(rule.subscribe == AccessRule([.anonymous]))
    #expect(rule.publish == AccessRule([.role("admin"), .user("alice"), .anyUser]))
    #expect(!rule.presence)
    #expect(!rule.compress)
    #expect(rule.maxSubscribers == 100)  // S003-25
    #expect(rule.require == ["type", "timestamp"])  // S003-22
    #expect(throws: SchemaFault.self) {
      try rule.schema?.check(.object(["type": .string(String(repeating: "x", count: 21))]))
    }
    #expect(c.channels.rules[1].match.map(\.text) == ["b", "c*"])
    #expect(c.channels.rules[1].history == .memory(size: 5, ttl: .seconds(90)))
    #expect(c.channels.rules[1].publish == AccessRule([]))
    #expect(c.channels.rules[2].history == .none)
    #expect(c.channels.rules[3].history == .memory(size: 100, ttl: .seconds(300)))
    #expect(c.gateway.listen == [.tcp(host: "0.0.0.0", port: 80)])
    #expect(c.gateway.loops == 4)
    #expect(c.gateway.anonymous == .off)
    #expect(c.gateway.origins == ["https://app.example.org", "http://localhost:3000"])
    #expect(c.gateway.hosts == ["chat.example.org", "10.0.0.2", "[2001:db8::1]", "*"])
    #expect(c.hub.listen == [.unix("/run/h")])
    #expect(c.eventstore.data == "/var/lib/e")
    #expect(c.presence.lease == .seconds(20))
    #expect(c.presence.grace == .milliseconds(250))
    #expect(c.links.eventstore == .tcp(host: "fd00::1", port: 7002))
    #expect(c.links.keyFile == "/etc/k")
    #expect(c.api.keyFile == "/etc/api")
    #expect(c.limits.wsMessageBytes == 65_536)
    #expect(c.limits.httpFields == 50)
    #expect(c.limits.pingInterval == .seconds(60))
    #expect(c.limits.connections == 7)
    #expect(!c.compression.enabled && c.compression.contextTakeover)
    #expect(c.compression.threshold == 2_048)
    #expect(c.compression.level == 9)
    #expect(c.compression.windowBits == 9 && c.compression.contextWindowBits == 12)
    #expect(c.diagnostics.echo == .on)
    #expect(c.log.levels == "warning,gateway.*=debug")
    #expect(c.log.format == .json)
    #expect(c.vault.directory == "/srv/vault")
  }

  @Test func allProblemsAreToldAtOnceInTheOrderOfTheFile() {
    let check = Self.check(
      """
      {
        gatway: {},
        limits: { pingIntervall: "5s", wsMessageBytes: "64KB", connections: -1,
          pongTimeout: 10 },
        gateway: { listen: "::1:80", loops: "many", anonymous: "maybe" },
        channels: [
          { match: "a b", type: "relai" },
          { type: "relay" },
        ],
        log: 5,
      }
      """)
    #expect(
      check.problems.map { $0.description.split(separator: ";")[0] } == [
        "s.json5:2: gatway: unknown key",
        "s.json5:3: limits.wsMessageBytes: write a size in bytes or with KiB, MiB, GiB, such as \"64KiB\"",
        "s.json5:3: limits.connections: write a whole number from 1 to 10000000",
        "s.json5:3: limits.pingIntervall: unknown key",
        "s.json5:4: limits.pongTimeout: write a duration with its unit (ms, s, m, h, d), such as \"5s\"",
        "s.json5:5: gateway.listen: write an IPv6 address in brackets, such as [::1]:8000",
        "s.json5:5: gateway.loops: write a whole number from 1 to 1024, not a string",
        "s.json5:5: gateway.anonymous: write one of \"auto\", \"on\", \"off\"",
        "s.json5:7: channels[0].match: write a pattern of 1 to 255 of A-Z a-z 0-9 _ : . @ # , = - and * for any run of characters",
        "s.json5:7: channels[0].type: no channel type \"relai\" is compiled in",
        "s.json5:8: channels[1].match: name the channels, such as \"map:*\"",
        "s.json5:10: log: write an object here: { … }, not the number 5",
      ])
    #expect(check.problems[0].reason.contains("did you mean \"gateway\"?"))
    #expect(check.problems[3].reason.contains("did you mean \"pingInterval\"?"))
    #expect(check.problems[9].reason.contains("did you mean \"relay\"?"))
  }

  @Test(arguments: [
    ("{limits:{publicationBytes:'2MiB'}}", "limits.publicationBytes", "clientQueueBytes"),
    ("{limits:{pongTimeout:'30s'}}", "limits.pongTimeout", "pingInterval"),
    ("{limits:{httpFieldBytes:'32KiB'}}", "limits.httpFieldBytes", "httpHeadBytes"),
    ("{limits:{clientMemoryBytes:'2MiB'}}", "limits.httpBodyBytes", "clientMemoryBytes"),
    ("{presence:{grace:'1m'}}", "presence.grace", "lease"),
    ("{links:{hub:'10.0.0.1:7000'}}", "links.keyFile", "secret"),
    ("{links:{hub:'10.0.0.1:0',keyFile:'k'}}", "links.hub", "port 0"),
    ("{gateway:{listen:[]}}", "gateway.listen", "at least one"),
    ("{gateway:{origins:['https://a/b']}}", "gateway.origins[0]", "without a path"),
    ("{gateway:{origins:['app.example.org']}}", "gateway.origins[0]", "https://"),
    ("{gateway:{hosts:['example.org:443']}}", "gateway.hosts[0]", "without a port"),
    ("{gateway:{hosts:['https://example.org']}}", "gateway.hosts[0]", "without a port"),
    ("{gateway:{hosts:['a','*.example.org']}}", "gateway.hosts[1]", "without a port"),
    ("{gateway:{hosts:['2001:db8::1']}}", "gateway.hosts[0]", "without a port"),
    ("{gateway:{hosts:['']}}", "gateway.hosts[0]", "without a port"),
    ("{gateway:{hosts:[8000]}}", "gateway.hosts[0]", "without a port"),
    ("{compression:{windowBits:8}}", "compression.windowBits", "9 to 15"),
    ("{compression:{contextWindowBits:16}}", "compression.contextWindowBits", "9 to 15"),
    ("{compression:{level:0}}", "compression.level", "1 to 9"),
    ("{compression:{threshold:'1KB'}}", "compression.threshold", "KiB"),
    ("{compression:{window:9}}", "compression.window", "unknown key"),
    ("{socketio:{pingInterval:300}}", "socketio.pingInterval", "with its unit"),
    ("{socketio:{pingTimeout:'1ms'}}", "socketio.pingTimeout", "100ms"),
    ("{socketio:{path:'socket.io'}}", "socketio.path", "/socket.io/"),
    ("{socketio:{path:'/'}}", "socketio.path", "segments"),
    ("{socketio:{path:'/a//b/'}}", "socketio.path", "segments"),
    ("{socketio:{path:'/a b/'}}", "socketio.path", "segments"),
    ("{socketio:{path:'/engine.io/'}}", "socketio.path", "Sapphire's own"),
    ("{socketio:{path:'/api/live'}}", "socketio.path", "Sapphire's own"),
    ("{socketio:{path:'/health'}}", "socketio.path", "built in"),
    ("{socketio:{path:'/live/rt'},routes:[{path:'/live/{channel}'}]}", "routes[0].path", "socketio.path"),
    ("{socketio:{perMessageDeflate:{}}}", "socketio.perMessageDeflate", "true"),
    ("{socketio:{httpCompression:'gzip'}}", "socketio.httpCompression", "threshold"),
    ("{socketio:{httpCompression:{level:10}}}", "socketio.httpCompression.level", "9"),
    ("{socketio:{httpCompression:{treshold:1}}}", "socketio.httpCompression.treshold", "threshold"),
    ("{socketio:{transports:[]}}", "socketio.transports", "at least one"),
    ("{socketio:{transports:['webtransport']}}", "socketio.transports[0]", "polling"),
    ("{socketio:{maxHttpBufferSize:1}}", "socketio.maxHttpBufferSize", "1KiB"),
    ("{socketio:{events:['publish']}}", "socketio.events[0]", "meaning of its own"),
    ("{socketio:{events:['a b']}}", "socketio.events[0]", "channel's name"),
    ("{socketio:{namespaces:{chat:'x'}}}", "socketio.namespaces.chat", "slash"),
    ("{socketio:{namespaces:'/'}}", "socketio.namespaces", "object"),
    ("{socketio:{events:['recovery']}}", "socketio.events[0]", "meaning of its own"),
    ("{socketio:{connectionStateRecovery:'2m'}}", "socketio.connectionStateRecovery", "true, false"),
    (
      "{socketio:{connectionStateRecovery:{maxDisconnectionDuration:'1ms'}}}",
      "socketio.connectionStateRecovery.maxDisconnectionDuration", "1s"
    ),
    (
      "{socketio:{connectionStateRecovery:{skipMiddlewares:true}}}",
      "socketio.connectionStateRecovery.skipMiddlewares", "token"
    ),
    (
      "{socketio:{connectionStateRecovery:{maxDisconnection:'1m'}}}",
      "socketio.connectionStateRecovery.maxDisconnection", "maxDisconnectionDuration"
    ),
    ("{socketio:{pingIntervall:'1s'}}", "socketio.pingIntervall", "pingInterval"),
    ("{socketio:{namespaces:{'/a':'conformance','/b':'conformanc'}}}", "socketio.namespaces./b", "did you mean"),
    ("{socketio:{namespaces:{'/a':{}}}}", "socketio.namespaces./a", "name its plugin"),
    ("{socketio:{namespaces:{'/a':{plugin:'x'}}}}", "socketio.namespaces./a.plugin", "conformance"),
    (
      "{socketio:{namespaces:{'/a':{plugin:'conformance',recovery:true}}}}",
      "socketio.namespaces./a.recovery", "connectionStateRecovery"
    ),
    (
      "{socketio:{namespaces:{'/a':{plugin:'conformance',connectionStateRecovery:'yes'}}}}",
      "socketio.namespaces./a.connectionStateRecovery", "true, false"
    ),
    (
      "{socketio:{namespaces:{'/':{plugin:'conformance',connectionStateRecovery:true}}}}",
      "socketio.namespaces./.connectionStateRecovery", "main namespace"
    ),
    ("{hooks:{subRefresh:'x'}}", "hooks.subRefresh", "http://"),
    ("{channels:[{match:'a',hooks:['subRefresh']}]}", "channels[0].hooks", "hooks.subRefresh"),
    ("{socketio:{engine:'x'}}", "socketio.engine", "there are clock, conformance"),
    ("{centrifuge:{calls:'clok'}}", "centrifuge.calls", "did you mean \"clock\""),
    ("{centrifuge:{personalChannel:'#'}}", "centrifuge.personalChannel", "{user}"),
    ("{centrifuge:{personalChannel:'a b{user}'}}", "centrifuge.personalChannel", "{user}"),
    ("{centrifuge:{personalChannel:'{user}{user}'}}", "centrifuge.personalChannel", "{user}"),
    ("{channels:[{match:'a',presence:'users'}]}", "channels[0].presence", "\"connections\""),
    ("{centrifuge:{joinLeave:['a b']}}", "centrifuge.joinLeave[0]", "channel's name"),
    ("{centrifuge:{cacheRecovery:['']}}", "centrifuge.cacheRecovery[0]", "not empty"),
    ("{centrifuge:{calls:7}}", "centrifuge.calls", "string"),
    ("{centrifuge:{call:'clock'}}", "centrifuge.call", "calls"),
    ("{hooks:{connect:'back.example'}}", "hooks.connect", "http://"),
    ("{hooks:{rpc:'https://u:p@back.example/'}}", "hooks.rpc", "user's name"),
    ("{hooks:{timeout:'1m'}}", "hooks.timeout", "10ms to 30s"),
    ("{hooks:{concurrency:0}}", "hooks.concurrency", "1 to 1024"),
    ("{hooks:{headers:['Cookie','Host']}}", "hooks.headers[1]", "own"),
    ("{hooks:{headers:'a b'}}", "hooks.headers", "field's name"),
    ("{hooks:{keyfile:'a'}}", "hooks.keyfile", "keyFile"),
    ("{channels:[{match:'a',hooks:'subscribe'}]}", "channels[0].hooks", "hooks.subscribe"),
    ("{channels:[{match:'a',hooks:['join','leave']}]}", "channels[0].hooks", "hooks.events"),
    ("{hooks:{events:'http://a/'},channels:[{match:'a',hooks:'joined'}]}", "channels[0].hooks", "\"occupied\""),
    (
      "{hooks:{events:'http://a/'},channels:[{match:'a',presence:false,hooks:'join'}]}",
      "channels[0].hooks", "presence is false"
    ),
    ("{channels:[{match:'a',compress:'no'}]}", "channels[0].compress", "true"),
    ("{eventstore:{data:''}}", "eventstore.data", "not empty"),
    ("{channels:{}}", "channels", "list"), ("{channels:[5]}", "channels[0]", "object"),
    ("{channels:[{match:'*'},{match:'a'}]}", "channels[1].match", "never reached"),
    ("{channels:[{match:'a:*'},{match:['b','a:b']}]}", "channels[1].match", "never reached"),
    ("{channels:[{match:'a',history:'forever'}]}", "channels[0].history", "durable: true"),
    ("{channels:[{match:'a',history:{durable:true,size:5}}]}", "channels[0].history", "leave out"),
    ("{channels:[{match:'a',history:{ttl:'5'}}]}", "channels[0].history.ttl", "unit"),
    ("{channels:[{match:'a',publish:['none','anonymous']}]}", "channels[0].publish", "alone"),
    ("{channels:[{match:'a',publish:['admin']}]}", "channels[0].publish[0]", "role:NAME"),
    ("{channels:[{match:'a',options:[]}]}", "channels[0].options", "object"),
    ("{channels:[{match:'a',maxSubscribers:0}]}", "channels[0].maxSubscribers", "1 to"),
    ("{log:{subsystems:{'a=b':'info'}}}", "log.subsystems.a=b", "name"),
    ("{log:{subsystems:{a:'loud'}}}", "log.subsystems.a", "debug"),
    ("[]", "", "object"),
  ])
  func impossibleValuesAreRefusedWithAReason(text: String, setting: String, word: String) throws {
    let check = Self.check(text)
    #expect(!check.isSound)
    let problem = try #require(check.problems.first { $0.setting == setting }, "\(check.report)")
    #expect(problem.reason.contains(word), "\(problem)")
  }

  @Test func malformedTextIsOneProblemWithItsLine() {
    #expect(Self.check("{\n a: 1,\n b\n}").report == "s.json5:4: a colon is needed after \"b\"\n")
  }

  @Test func theEnvironmentOverridesSingleSettings() {
    let check = Self.check(
      "{gateway:{listen:'1.2.3.4:5',loops:2},limits:{connections:5}}",
      [
        "SAPPHIRE_GATEWAY_LISTEN": "[::]:8000", "SAPPHIRE_GATEWAY_LOOPS": "3",
        "SAPPHIRE_LIMITS_WS_MESSAGE_BYTES": "2MiB", "SAPPHIRE_LIMITS_HTTP_URL_BYTES": "4096",
        "SAPPHIRE_EVENTSTORE_DATA": "/data", "SAPPHIRE_LOG_LEVEL": "debug",
        "SAPPHIRE_LIMITS_PING_INTERVAL": "30s", "SAPPHIRE_DIAGNOSTICS_ECHO": "off",
        "SAPPHIRE_API_KEY": "not a setting", "SAPPHIRE_DATA": "/d", "PATH": "/bin",
        "SAPPHIRE_GATEWAY_SERVICE_HOST": "10.0.0.1", "SAPPHIRE_GATEWAY_PORT": "tcp://10.0.0.1:80",
        "SAPPHIRE_GATEWAY_PORT_80_TCP": "tcp://10.0.0.1:80", "SAPPHIRE_HUB_SERVICE_PORT": "7000",
      ])
    #expect(check.problems == [])
    let c = check.configuration
    #expect(c.gateway.listen == [.tcp(host: "::", port: 8000)])
    #expect(c.gateway.loops == 3)
    #expect(c.limits.connections == 5)
    #expect(c.limits.wsMessageBytes == 2 << 20)
    #expect(c.limits.httpURLBytes == 4_096)
    #expect(c.limits.pingInterval == .seconds(30))
    #expect(c.eventstore.data == "/data")
    #expect(c.log.level == .debug)
    #expect(c.diagnostics.echo == .off)
    #expect(
      Configuration.check(file: "", text: nil, environment: ["SAPPHIRE_HUB_LISTEN": "unix:/h"])
        .configuration.hub.listen == [.unix("/h")])
  }

  @Test func problemsOfTheEnvironmentNameTheVariable() {
    let check = Self.check(
      "{}",
      [
        "SAPPHIRE_GATEWAY_LISTN": "x", "SAPPHIRE_GATEWAY_LOOPS": "many",
        "SAPPHIRE_GATEWAY_LISTEN": "b", "SAPPHIRE_LOG_SUBSYSTEMS": "a=debug",
      ])
    #expect(
      check.problems.map(\.description).sorted() == [
        "SAPPHIRE_GATEWAY_LISTEN: gateway.listen: write HOST:PORT, [IPV6]:PORT or unix:PATH",
        "SAPPHIRE_GATEWAY_LISTN: no setting has this variable; did you mean "
          + "SAPPHIRE_GATEWAY_LISTEN?",
        "SAPPHIRE_GATEWAY_LOOPS: gateway.loops: write a whole number from 1 to 1024",
        "SAPPHIRE_LOG_SUBSYSTEMS: no setting has this variable; remove it",
      ])
  }

  @Test func servicesFindEachOther() throws {
    var c = Configuration()
    #expect(try c.listen(of: .hub, runDirectory: "/r") == [.unix("/r/hub.sock")])
    #expect(try c.link(to: .hub, runDirectory: "/r") == .unix("/r/hub.sock"))
    c.hub.listen = [.tcp(host: "0.0.0.0", port: 7000)]
    #expect(try c.link(to: .hub, runDirectory: "/r") == .tcp(host: "127.0.0.1", port: 7000))
    c.links.hub = .tcp(host: "hub.internal", port: 7000)
    #expect(try c.link(to: .hub, runDirectory: "/r") == .tcp(host: "hub.internal", port: 7000))
    #expect(try c.listen(of: .hub, runDirectory: "/r") == [.tcp(host: "0.0.0.0", port: 7000)])
    c.links.presence = .unix("/p")
    #expect(try c.listen(of: .presence, runDirectory: "/r") == [.unix("/p")])
    let long = String(repeating: "d", count: 100)
    #expect(throws: Endpoint.Refusal.pathTooLong(116)) {
      try c.listen(of: .eventstore, runDirectory: long)
    }
  }

  @Test func autoFollowsTheListeners() throws {
    let local = try Endpoint("127.0.0.1:1")
    let open = try Endpoint("0.0.0.0:1")
    var diagnostics = DiagnosticsSettings()
    #expect(diagnostics.echoIsOn(listening: [local, .unix("/x")]))
    #expect(!diagnostics.echoIsOn(listening: [local, open]))
    diagnostics.echo = .on
    #expect(diagnostics.echoIsOn(listening: [open]))
    diagnostics.echo = .off
    #expect(!diagnostics.echoIsOn(listening: [local]))
    var gateway = GatewaySettings()
    #expect(gateway.allowsAnonymous(on: local))
    #expect(!gateway.allowsAnonymous(on: open))
    gateway.anonymous = .off
    #expect(!gateway.allowsAnonymous(on: local))
    gateway.anonymous = .on
    #expect(gateway.allowsAnonymous(on: open))
  }

  /// The second would have been passed over.
  @Test func aServiceListensOnOneEndpoint() {
    let text = #"{ gateway: { listen: ["0.0.0.0:80", "[::]:80"] }, hub: { listen: ["unix:/a"] } }"#
    let check = Configuration.check(file: "f", text: [UInt8](text.utf8), channelTypes: ["relay"])
    #expect(check.problems.map(\.setting) == ["gateway.listen[1]"])
    #expect(check.problems.first?.reason.contains("IPv4 and IPv6") == true)
  }
}
