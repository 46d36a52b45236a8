import Crypto
import Foundation
import Testing

extension Forum {
    /// A picture as cameras make them, as far as a hub can tell: a head, and bytes that don't compress.
    func picture(_ name: String, _ size: Int) throws -> String {
        var generator = SystemRandomNumberGenerator()
        var bytes = Data([0xff, 0xd8, 0xff, 0xe0])
        while bytes.count < size {
            withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) }
        }
        try bytes.prefix(size).write(to: path(name))
        return SHA256.hash(data: bytes.prefix(size)).map { String(format: "%02x", $0) }.joined()
    }

    /// The hashes of what lies beside a store, by what the bytes are.
    func heldPhotos(_ store: String) throws -> Set<String> {
        let folder = path("\(store).sqlite-blobs")
        guard let names = FileManager.default.enumerator(atPath: folder.path) else { return [] }
        var found: Set<String> = []
        for case let name as String in names {
            let file = folder.appending(path: name)
            guard let bytes = FileManager.default.contents(atPath: file.path) else { continue }
            found.insert(SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined())
        }
        return found
    }

    /// A laptop that serves the others, on a port of its own, and that nobody finds who isn't given its address.
    func serve(_ laptop: String) throws -> (Child, address: String) {
        try serve(laptop, ["--no-announce"])
    }

    /// - Parameter more: of its arguments.
    func serve(
        _ laptop: String, _ more: [String], environment: [String: String] = [:]
    ) throws -> (Child, address: String) {
        let child = try Child(
            "karvan", ["serve", "--listen", "127.0.0.1:0", "--json"] + more, in: directory,
            environment: environment.merging(["KARVAN_REPLICA": path("\(laptop).sqlite").path]) {
                $1
            })
        var address: String?
        _ = becomesTrue(withinSeconds: 30) {
            let line = child.printed.split(separator: "}").first.map { $0 + "}" } ?? ""
            let object = try? JSONSerialization.jsonObject(with: Data(line.utf8))
            address = ((object as? [String: Any])?["addresses"] as? [String])?.first
            return address != nil || child.isEnded
        }
        return (child, try #require(address, "\(child.printed)"))
    }
}
