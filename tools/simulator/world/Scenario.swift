import TestSupport

/// What happens in one simulated forum, step by step: drawn from a seed, or read from a file.
///
/// Each step carries its own random numbers, so that others can be left out without changing it.
package struct Scenario: Hashable, Sendable {
    /// For keys and other random bytes.
    package var seed: UInt64
    package var laptopCount: Int
    package var steps: [Step]

    package init(seed: UInt64, laptopCount: Int, steps: [Step]) {
        (self.seed, self.laptopCount, self.steps) = (seed, laptopCount, steps)
    }
}

/// One event: somebody does something, or something goes wrong.
package struct Step: Hashable, Sendable {
    package var deed: Deed
    package var laptop: Int
    /// The seed of whatever the step has to choose.
    package var draw: UInt64

    package init(deed: Deed, laptop: Int, draw: UInt64) {
        (self.deed, self.laptop, self.draw) = (deed, laptop, draw)
    }
}

package enum Deed: String, CaseIterable, Sendable {
    // What people record.
    case walkIn = "walk-in"
    case person, edit, several, languages, visit, count, delete, restore, group
    case openForm = "open-form"
    case saveForm = "save-form"
    case settle, undo
    /// Another program writes to the file.
    case foreign
    /// Another process writes to it.
    case twin
    case reopen, seal
    /// More than one message takes.
    case large
    // How it travels.
    /// A whole session.
    case sync
    /// The next action of a session, while others go on.
    case advance
    /// One laptop gives another all it has.
    case meet
    /// A courier takes a laptop's runs along, and brings them to another, late and in any order.
    case pack, deliver
    // What goes wrong; see ``Fault``.
    case disk
    case hubDisk = "hub-disk"
    case network
    /// Something on the way changes what passes, behind the checks of TLS.
    case noise
    /// The hub says what isn't so.
    case lie
    /// Somebody brings runs that nobody of the forum has signed, or that may not be written.
    case forge
    case clock
    case kill
    case hubKill = "hub-kill"
    /// A laptop is lost, and its operator revokes it.
    case revoke
    /// The operator lets some of what a lost laptop brought count after all.
    case admit
    /// An older copy of the hub's store is put in its place.
    case hubRestore = "hub-restore"
    /// A replica's file is copied to another laptop, which records as well.
    case fileCopy = "file-copy"
    /// So is the whole disk, and nothing tells one from the other.
    case diskCopy = "disk-copy"
    /// Older files are put in a laptop's place.
    case putBack = "put-back"
    /// A person is to be forgotten.
    case erase

    package var isFault: Bool {
        switch self {
        case .disk, .hubDisk, .network, .noise, .lie, .forge, .clock, .kill, .hubKill, .revoke,
            .admit, .hubRestore, .fileCopy, .diskCopy, .putBack, .erase:
            true
        default: false
        }
    }
}

// MARK: Drawing

extension Scenario {
    /// The mix of deeds and the rate of faults come from the seed as well.
    ///
    /// - Parameters:
    ///   - laptopCount: `nil` for 2 to 40, mostly few.
    ///   - stepCount: `nil` for as many as fit the laptops.
    package init(drawnFrom seed: UInt64, laptopCount: Int? = nil, stepCount: Int? = nil) {
        var random = SplitMix64(seed: seed)
        let few = 2 + random.below(6)
        let many = 2 + random.below(39)
        let laptopCount = laptopCount ?? (random.chance(1, in: 20) ? many : few)
        var weights: [(deed: Deed, weight: Int)] = Deed.allCases.filter { !$0.isFault }.map {
            guard $0 != .large else { return ($0, random.chance(1, in: 10) ? 1 : 0) }
            return ($0, random.chance(1, in: 8) ? 0 : 1 + random.below($0.usualWeight * 2))
        }
        // Three in four forums have faults, each kind of them or not.
        if random.chance(3, in: 4) {
            for fault in Deed.allCases where fault.isFault && random.chance(2, in: 3) {
                weights.append((fault, 1 + random.below(6)))
            }
        }
        let total = weights.reduce(0) { $0 + $1.weight }
        let count = stepCount ?? (20 + random.below(60 * min(laptopCount, 8)))
        var steps: [Step] = []
        for _ in 0..<count {
            var left = random.below(max(total, 1))
            let deed = weights.first { entry in
                left -= entry.weight
                return left < 0
            }?.deed
            steps.append(
                Step(
                    deed: deed ?? .edit, laptop: random.below(laptopCount), draw: random.next()))
        }
        self.init(seed: seed, laptopCount: laptopCount, steps: steps)
    }
}

extension Deed {
    fileprivate var usualWeight: Int {
        switch self {
        case .edit, .sync, .advance: 12
        case .person, .saveForm, .openForm, .settle: 6
        case .several, .visit, .meet, .count: 4
        default: 2
        }
    }
}

// MARK: Text

extension Scenario {
    /// The form of the corpus: a line for each step, `deed laptop draw`, behind a line for the
    /// forum. What follows `#` says why the file is there.
    package var text: String {
        (["forum \(laptopCount) \(seed)"]
            + steps.map { "\($0.deed.rawValue) \($0.laptop) \($0.draw)" })
            .joined(separator: "\n") + "\n"
    }

    package struct Unreadable: Error, CustomStringConvertible {
        package var line: Int
        package var description: String { "line \(line) is not a step: deed, laptop, number" }
    }

    /// - Throws: ``Unreadable``.
    package init(text: String) throws {
        self.init(seed: 0, laptopCount: 0, steps: [])
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let parts = line.prefix { $0 != "#" }.split(separator: " ")
            guard !parts.isEmpty else { continue }
            guard parts.count == 3, let laptop = Int(parts[1]), let number = UInt64(parts[2]) else {
                throw Unreadable(line: index + 1)
            }
            if parts[0] == "forum", laptopCount == 0, laptop >= 2 {
                (laptopCount, seed) = (laptop, number)
            } else if let deed = Deed(rawValue: String(parts[0])), 0..<laptopCount ~= laptop {
                steps.append(Step(deed: deed, laptop: laptop, draw: number))
            } else {
                throw Unreadable(line: index + 1)
            }
        }
    }
}
