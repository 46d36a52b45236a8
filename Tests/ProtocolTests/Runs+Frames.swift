import Causality
import Merge
import SyncProtocol

/// Runs whose deps or frames would let something in that nobody looked at.
extension RunVectors {
    /// An op can't name what comes after it: the own stream has no dep.
    static func ahead() throws -> [Vector] {
        let itself = joined.changed { draft in
            draft.dependencies = [first.dependency]
            draft.body = note("ahead", at: 1_764_000_000_009, over: [1, 3])
            draft.size = UInt64(draft.body.count)
        }
        return [
            try offer("an over of a later own change, by a dep", itself, to: [first], "unreadable"),
            try offer(
                "a dep on its own stream beside another",
                joined.changed { $0.dependencies.append(first.dependency) }, to: [first, other],
                "unreadable"),
            try offer(
                "a dep that comes twice",
                joined.changed { $0.dependencies.append(other.dependency) }, to: [first, other],
                "unreadable"),
            try offer(
                "a dep on seq 0 of an unknown stream",
                joined.changed { $0.dependencies[0].seq = 0 }, to: [first], "unreadable"),
        ]
    }

    static func frames() throws -> [Vector] {
        let body = first.body
        func frame(_ name: String, _ frame: [UInt8], _ answer: String = "POISON") throws -> Vector {
            try offer("a frame \(name)", packed(frame, size: body.count), answer)
        }
        let one = Frame.raw(body)
        let empty = Frame.raw([])
        // The low 4 bytes of XXH64 over the body of `first`.
        let checksum: [UInt8] = [0x29, 0x37, 0x58, 0x12]
        return [
            try frame("and a byte", one + [0]), try frame("and a second frame", one + one),
            try frame("and a frame of nothing", one + empty),
            try frame("behind a frame of nothing", empty + one),
            try frame("and a frame that is skipped", one + Frame.skippable),
            try frame("behind a frame that is skipped", Frame.skippable + one),
            try frame("and half a second one", one + [0x28, 0xb5, 0x2f, 0xfd]),
            try frame("with a window of 1 KiB", Frame.raw(body, window: 0), "applied"),
            try frame("with a window of 8 MiB", Frame.raw(body, window: 0x68), "applied"),
            try frame("with a window of 9 MiB", Frame.raw(body, window: 0x69)),
            try frame("with a window of 256 MiB", Frame.raw(body, window: 0x90)),
            try frame(
                "that names dictionary 0", Frame.raw(body, window: nil, dictionary: 0), "applied"),
            try frame("that names dictionary 1", Frame.raw(body, window: nil, dictionary: 1)),
            try frame(
                "with a checksum", Frame.raw(body, window: nil, checksum: checksum), "applied"),
            try frame(
                "with a wrong checksum",
                Frame.raw(body, window: nil, checksum: checksum.map { ~$0 })),
            try frame(
                "with a reserved bit", Frame.raw(body, window: nil, reserved: true)),
        ]
    }
}
