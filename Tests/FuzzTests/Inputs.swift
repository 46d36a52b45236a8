import Foundation
import FuzzTargets
import Testing

/// What fuzzing has kept: each input is read by its parser again, as tools/fuzz has it read.
@Suite struct Inputs {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "tools/fuzzing")

    /// - Parameter kind: `corpus` or `crashers`.
    private static func files(_ kind: String, _ name: FuzzTargetName) -> [URL] {
        let path = "\(kind)/\(name.rawValue)"
        return contents(path).sorted().map { folder.appending(path: path).appending(path: $0) }
    }

    /// None where nothing was kept.
    private static func contents(_ path: String) -> [String] {
        let folder = folder.appending(path: path)
        return (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    }

    @Test(arguments: FuzzTargetName.allCases)
    func `every input of the corpus is read, and breaks no promise`(name: FuzzTargetName) throws {
        let target = name.target
        let files = Self.files("corpus", name)
        var taken = 0
        for file in files {
            let bytes = [UInt8](try Data(contentsOf: file))
            do throws(Violation) {
                if try target.offer(bytes) { taken += 1 }
            } catch {
                Issue.record("\(name.rawValue)/\(file.lastPathComponent): \(error)")
            }
        }
        print("fuzz: \(name.rawValue): \(files.count) inputs, \(taken) taken")
        // Inputs that are all refused, or all taken, would not show much.
        #expect(taken > 0 && taken < files.count)
    }

    @Test(arguments: FuzzTargetName.allCases)
    func `no past crasher stops its parser, or breaks a promise`(name: FuzzTargetName) throws {
        for file in Self.files("crashers", name) {
            let bytes = [UInt8](try Data(contentsOf: file))
            #expect(throws: Never.self, "\(name.rawValue)/\(file.lastPathComponent)") {
                try name.target.offer(bytes)
            }
        }
    }

    @Test(arguments: FuzzTargetName.allCases)
    func `what the engine's own writers make is taken`(name: FuzzTargetName) throws {
        for seed in name.target.seeds {
            #expect(try name.target.offer(seed.bytes), "\(name.rawValue): \(seed.name)")
        }
    }

    @Test func `each folder of inputs belongs to a target`() throws {
        let names = Set(FuzzTargetName.allCases.map(\.rawValue))
        #expect(Set(Self.contents("corpus")) == names)
        #expect(names.isSuperset(of: Self.contents("crashers")))
    }
}
