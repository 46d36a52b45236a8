import Foundation
import FuzzTargets

/// Has inputs read by one parser. Built by tools/fuzz it makes them itself, with libFuzzer, and
/// takes its flags; built with all else it reads those that it is given.
@main
struct Main {
    static let usage = """
        usage: karvan-fuzz --target=NAME [FILE|FOLDER]...
               karvan-fuzz --target=NAME --write-seeds=FOLDER

        Has a parser read each file, and holds what comes out against what the parser promises. A
        parser that stops the program, or that breaks a promise, fails. NAME is one of
        \(FuzzTargetName.allCases.map(\.rawValue).joined(separator: ", ")).

        --write-seeds=FOLDER  writes what the engine's own writers make for the parser, instead

        As tools/fuzz builds it, it also takes the flags of libFuzzer; see -help=1.
        """

    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.contains("--help") || arguments.contains("-h") { return print(usage) }
        guard let target = Choice.target else { fail("name a target: see --help", status: 64) }
        if let folder = Choice.value(of: "write-seeds") {
            return try writeSeeds(of: target, to: URL(filePath: folder))
        }
        #if KARVAN_FUZZING
            exit(Fuzzing.run(target))
        #else
            try replay(target, arguments.filter { !$0.hasPrefix("--") })
        #endif
    }

    static func fail(_ message: String, status: Int32 = 1) -> Never {
        FileHandle.standardError.write(Data("karvan-fuzz: \(message)\n".utf8))
        exit(status)
    }

    private static func writeSeeds(of target: any FuzzTarget, to folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for seed in target.seeds {
            try Data(seed.bytes).write(to: folder.appending(path: seed.name))
        }
        print("karvan-fuzz: \(target.seeds.count) seeds")
    }

    private static func replay(_ target: any FuzzTarget, _ paths: [String]) throws {
        let files = try paths.flatMap(files)
        guard !files.isEmpty else { fail("name files to read: see --help", status: 64) }
        var (taken, broken) = (0, 0)
        for file in files {
            let bytes = [UInt8](try Data(contentsOf: file))
            do throws(Violation) {
                if try target.offer(bytes) { taken += 1 }
            } catch {
                broken += 1
                print("\(file.relativePath): \(error)")
            }
        }
        print(
            "karvan-fuzz: \(files.count) inputs, \(taken) taken, "
                + "\(files.count - taken - broken) refused, \(broken) that break a promise")
        if broken > 0 { exit(1) }
    }

    private static func files(_ path: String) throws -> [URL] {
        let url = URL(filePath: path)
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        guard isFolder.boolValue else { return [url] }
        return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
            .map { url.appending(path: $0) }
    }
}

/// What the command line asks for.
enum Choice {
    static let target: (any FuzzTarget)? = value(of: "target").flatMap { name in
        name == PlantedTarget.name
            ? PlantedTarget() : FuzzTargetName(rawValue: name)?.target
    }

    /// Of `--name=value`: libFuzzer passes over such arguments, and hands them to its children.
    static func value(of name: String) -> String? {
        CommandLine.arguments.first { $0.hasPrefix("--\(name)=") }
            .map { String($0.dropFirst(name.count + 3)) }
    }
}
