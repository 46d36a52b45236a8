internal import Causality
internal import Merge

extension CBORDecoder {
    /// A dot as one or two items of an array.
    ///
    /// - Parameters:
    ///   - own: the changeset that names it.
    ///   - streams: what a number of a stream stands for.
    ///   - left: the items that the array still has.
    mutating func dot(
        before own: Dot, streams: [StreamID], _ left: inout Int
    ) throws(CBORError) -> Dot {
        let head = try unsigned()
        left -= 1
        if head & 1 == 0 {
            let distance = head >> 1
            guard (1..<own.seq).contains(distance) else { throw error(.outOfRange) }
            return Dot(own.stream, own.seq - distance)
        }
        guard left > 0, head >> 1 < UInt64(streams.count) else { throw error(.outOfRange) }
        let other = streams[Int(head >> 1)]
        // By a number an op could name what comes after it in its own stream.
        guard other != own.stream else { throw error(.invalid) }
        let seq = try unsigned()
        left -= 1
        guard seq > 0, seq <= UInt64(Int64.max) else { throw error(.outOfRange) }
        return Dot(other, seq)
    }

    /// What a delete covers, by dot.
    mutating func covers(
        before own: Dot, streams: [StreamID]
    ) throws(CBORError) -> [CellDot] {
        var covers: [CellDot] = []
        for _ in 0..<(try array()) {
            var left = try array()
            guard left > 0 else { throw error(.invalid) }
            let dot = try dot(before: own, streams: streams, &left)
            guard covers.count + left <= Limits.dotsPerOperation else { throw error(.tooLong) }
            while left > 0 {
                if try peek() == .array {
                    try array(count: 2)
                    let column = try unsigned32()
                    covers.append(
                        CellDot(CellKey(column, element: try value().canonicalBytes), dot))
                } else {
                    covers.append(CellDot(CellKey(try unsigned32()), dot))
                }
                left -= 1
            }
        }
        return covers.sorted()
    }
}
