import Foundation
import SyncProtocol

/// What a test's server shows as itself.
enum Certificate {
    /// Long expired, for another name, signed by its own key: only a pin can vouch for it.
    case expiredForOtherName
    /// For 127.0.0.1 and today, from an authority whose certificate is `authority.pem`.
    case fromAuthority
    /// As before, for another name.
    case fromAuthorityForOtherName
    /// As ``fromAuthority``, but long expired.
    case fromAuthorityExpired

    /// Writes `cert.pem` and `key.pem` into `directory`.
    func make(in directory: URL) throws {
        let isExpired = self == .expiredForOtherName || self == .fromAuthorityExpired
        let isOther = self == .expiredForOtherName || self == .fromAuthorityForOtherName
        let name = isOther ? "DNS:other.example" : "IP:127.0.0.1"
        try Self.settings(name).write(
            to: directory.appending(path: "ca.cnf"), atomically: true, encoding: .utf8)
        try Data().write(to: directory.appending(path: "index.txt"))
        try Self.openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "key.pem", "-subj", "/CN=hub", "-out", "request.pem", in: directory)
        var signer = ["-selfsign", "-keyfile", "key.pem"]
        if self != .expiredForOtherName {
            try Self.makeAuthority(in: directory)
            signer = ["-cert", "authority.pem", "-keyfile", "authority-key.pem"]
        }
        let dates =
            isExpired
            ? ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"] : ["-days", "2"]
        try Self.openssl(
            [
                "ca", "-batch", "-config", "ca.cnf", "-in", "request.pem", "-notext", "-extensions",
                "names", "-out", "cert.pem",
            ] + signer + dates, in: directory)
    }

    static func makeAuthority(in directory: URL) throws {
        try openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "authority-key.pem", "-subj", "/CN=authority", "-days", "2", "-out",
            "authority.pem", in: directory)
    }

    /// The pin of the key in `directory`.
    static func pin(in directory: URL) throws -> [UInt8] {
        try openssl(
            "pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "key.der",
            in: directory)
        return Digest(sha256: Array(try Data(contentsOf: directory.appending(path: "key.der"))))
            .bytes
    }

    private static func settings(_ name: String) -> String {
        """
        [ca]
        default_ca = authority
        [authority]
        database = index.txt
        new_certs_dir = .
        rand_serial = yes
        default_md = sha256
        policy = names_policy
        [names_policy]
        commonName = supplied
        [names]
        subjectAltName = \(name)
        """
    }

    private static func openssl(_ arguments: String..., in directory: URL) throws {
        try openssl(arguments, in: directory)
    }

    private static func openssl(_ arguments: [String], in directory: URL) throws {
        let process = try startProcess("openssl", arguments, in: directory)
        try wait(upToSeconds: 20, for: "openssl \(arguments[0])") { !process.isRunning }
        guard process.terminationStatus == 0 else {
            throw Unready(what: "openssl \(arguments[0]): status \(process.terminationStatus)")
        }
    }
}

/// The surroundings of a test aren't there.
struct Unready: Error {
    var what: String
}

/// Starts a program that is found by its name, silent, with an input that stays open.
func startProcess(_ name: String, _ arguments: [String], in directory: URL) throws -> Process {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [name] + arguments
    process.currentDirectoryURL = directory
    process.standardInput = Pipe()
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
}

func wait(upToSeconds seconds: Int, for what: String, until isDone: () -> Bool) throws {
    let end = ContinuousClock.now + .seconds(seconds)
    while !isDone() {
        guard ContinuousClock.now < end else { throw Unready(what: "\(what) takes too long") }
        Thread.sleep(forTimeInterval: 0.005)
    }
}
