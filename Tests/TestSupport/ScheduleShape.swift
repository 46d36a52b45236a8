/// Who writes each op of a schedule, and what its author had received by then: all that a schedule
/// is but for what the ops do.
///
/// Ops are numbered in the order in which they are written. A set of ops is a number with the bit
/// of each.
package struct ScheduleShape: Hashable, Sendable, CustomStringConvertible {
    /// By op: the replica that writes it.
    package var authors: [Int]
    /// By op: the earlier ops that its author holds: its own, and with each op those before it.
    package var pasts: [Int]

    package init(authors: [Int] = [], pasts: [Int] = []) {
        (self.authors, self.pasts) = (authors, pasts)
    }

    package var opCount: Int { authors.count }
    package var all: Int { 1 << opCount - 1 }

    /// Every shape of `opCount` ops on `replicaCount` replicas, up to renaming of the replicas.
    package static func every(opCount: Int, replicaCount: Int = 3) -> [ScheduleShape] {
        var shapes = [ScheduleShape()]
        for op in 0..<opCount {
            shapes = shapes.flatMap { shape in
                // A replica that has not written yet is as good as any other such.
                let authors = 0...min((shape.authors.max() ?? -1) + 1, replicaCount - 1)
                return authors.flatMap { author in
                    (0..<1 << op).filter { shape.isPast($0, of: author) }.map { past in
                        var next = shape
                        next.authors.append(author)
                        next.pasts.append(past)
                        return next
                    }
                }
            }
        }
        return shapes
    }

    /// Whether a replica may hold exactly `set`: causally closed, and with what it wrote itself.
    package func isPast(_ set: Int, of author: Int) -> Bool {
        authors.indices.allSatisfy { op in
            set & 1 << op != 0 ? pasts[op] & ~set == 0 : authors[op] != author
        }
    }

    /// Whether `op` may be delivered to a replica that holds `set`.
    package func isReady(_ op: Int, at set: Int) -> Bool {
        set & 1 << op == 0 && pasts[op] & ~set == 0
    }

    /// In how many orders a replica that holds `set` may come to hold `other`.
    package func orderCount(from set: Int, to other: Int) -> Int {
        set == other
            ? 1
            : authors.indices.filter { other & 1 << $0 != 0 && isReady($0, at: set) }
                .reduce(0) { $0 + orderCount(from: set | 1 << $1, to: other) }
    }

    /// Every order in which all ops may arrive, each behind what it needs.
    package var deliveries: [[Int]] {
        var orders: [[Int]] = [[]]
        for _ in authors {
            orders = orders.flatMap { order in
                let set = order.reduce(0) { $0 | 1 << $1 }
                return authors.indices.filter { isReady($0, at: set) }.map { order + [$0] }
            }
        }
        return orders
    }

    package var description: String {
        zip(authors, pasts).map { author, past in
            let seen = authors.indices.filter { past & 1 << $0 != 0 }.map(String.init)
            return "abcdef".dropFirst(author).prefix(1) + "(" + seen.joined(separator: ",") + ")"
        }.joined(separator: " ")
    }
}

/// The words of a length over an alphabet of `count` letters, numbered from 0.
package struct Words: Sendable {
    package var letterCount: Int
    package var length: Int

    package init(letterCount: Int, length: Int) {
        (self.letterCount, self.length) = (letterCount, length)
    }

    package var count: Int { (0..<length).reduce(1) { count, _ in count * letterCount } }

    package func letter(_ place: Int, of word: Int) -> Int {
        (0..<place).reduce(word) { rest, _ in rest / letterCount } % letterCount
    }
}
