import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import SyncProtocol
import Testing

/// Several conflicts that are settled by one command.
@Suite struct BulkDecisions {
    private func filter(_ change: (inout ConflictFilter) -> Void) -> ConflictFilter {
        var filter = ConflictFilter()
        change(&filter)
        return filter
    }

    private func resolve(
        _ field: Field, _ filter: ConflictFilter, _ decision: CommonDecision,
        reason: String = "the list of HQ", expected: String? = nil, isDryRun: Bool = false
    ) throws -> BulkSettlement {
        try field.conflicts(2).resolve(
            filter, decision, reason: reason, author: "Aysel", expected: expected,
            isDryRun: isDryRun)
    }

    private func role(_ field: Field, _ laptop: Int, _ badge: String) throws -> String? {
        let records = field.records(laptop)
        return try records.show(Forum.person, records.row(in: Forum.person, badge))
            .first { $0.column.name == "role" }?.text
    }

    @Test func `all that a filter lets through are settled, and everyone agrees`() throws {
        let field = try Field.disagreeing()
        let before = try field.conflicts(2).open()
        let roles = filter {
            $0.kind = "person"; $0.column = "role"
        }
        let result = try resolve(field, roles, .latest)
        #expect(result.settled.count == 3 && result.left.isEmpty)
        #expect(result.settled.allSatisfy { $0.text == "role 1" }, "\(result.settled.map(\.text))")
        #expect(result.receipt.dots.count == 3, "each is a changeset of its own")
        let settled = Set(result.settled.map(\.conflict.id))
        #expect(
            try field.conflicts(2).open().map(\.id)
                == before.map(\.id).filter { !settled.contains($0) })
        try field.meet([2, 0, 1])
        for badge in ["AZ-001", "AZ-002", "TR-031"] {
            #expect(try role(field, 0, badge) == "role 1")
        }
        let log = try field.conflicts(0).log()
        #expect(log.count == 3 && log.allSatisfy { $0.reason == "the list of HQ" && $0.isLive })
        #expect(Set(log.map(\.subjectText)) == Set(result.settled.map(\.conflict.subjectText)))
        #expect(log.contains { $0.id == result.decision })
    }

    @Test func `each decision is taken back by itself, and all of a command together`() throws {
        let field = try Field.disagreeing()
        let before = Set(try field.conflicts(2).open().map(\.subjectText))
        let result = try resolve(field, filter { $0.kind = "person" }, .earliest)
        #expect(result.settled.count > 3 && result.left.isEmpty)
        // Another one of the same person, for another reason.
        let item = try resolve(field, filter { $0.kind = "item" }, .earliest, reason: "a call")
        #expect(item.settled.count == 1)
        let log = try field.conflicts(2).log()
        let one = try #require(log.first { $0.subjectText == "person AZ-002 role" })
        let undoing = try field.undo(2, one)
        #expect(undoing.reopened?.subjectText == "person AZ-002 role")
        #expect(try role(field, 2, "AZ-001") == "role 0")
        try field.meet([2, 1, 0])
        let decision = try #require(result.decision).description
        let undone = try field.conflicts(0).undoTogether(
            decision, reason: "the wrong list", author: "Murad")
        #expect(undone.undone.count == result.settled.count - 1)
        #expect(undone.left.map(\.entry.id) == [one.id])
        try field.meet([0, 1, 2])
        let after = Set(try field.conflicts(1).open().map(\.subjectText))
        #expect(after == before.subtracting(item.settled.map(\.conflict.subjectText)))
        #expect(throws: ConflictError.self) {
            try field.conflicts(1).undoTogether(decision, reason: "", author: "Murad")
        }
        // And taking that back settles them again.
        let last = try #require(try field.conflicts(1).log().last)
        let again = try field.conflicts(1).undoTogether(
            last.id.description, reason: "it was right", author: "Aysel")
        #expect(again.undone.count == undone.undone.count)
        #expect(try role(field, 1, "AZ-001") == "role 0")
    }

    @Test func `records that clash are settled by the name of a choice`() throws {
        let field = try Field()
        for badge in ["AZ-001", "AZ-002", "TR-031"] {
            try field.attend(0, badge, .excused, reason: "ill")
            try field.attend(1, badge, .in)
        }
        try field.meet([0, 1, 2])
        let panel = filter { $0.column = "excused vs present" }
        #expect(try resolve(field, panel, .choice("absent")).left.count == 3)
        let result = try resolve(field, panel, .choice("excused"))
        #expect(result.settled.count == 3 && result.left.isEmpty)
        #expect(result.settled.allSatisfy { !$0.effect.isEmpty })
        #expect(try field.isSettled(2))
        func kinds(_ laptop: Int) throws -> [String] {
            try field.records(laptop).attendance(item: "P07").rows.map { $0.joined(separator: " ") }
                .sorted()
        }
        let settled = try kinds(2)
        // What the decision on one had changed goes with that one alone.
        let one = try field.conflicts(2).log()[1]
        let undoing = try field.undo(2, one)
        #expect(undoing.reversed.count == 1 && undoing.kept.isEmpty)
        #expect(try field.only(2).subject == undoing.reopened?.subject)
        #expect(try kinds(2) != settled)
        try field.meet([2, 0, 1])
        let decision = try #require(result.decision).description
        let undone = try field.conflicts(1).undoTogether(decision, reason: "", author: "Murad")
        #expect(undone.undone.count == 2 && undone.undone.flatMap(\.reversed).count == 2)
        #expect(try field.conflicts(1).open().count == 3)
    }

    @Test func `a decision is not made again on what is no longer so`() throws {
        let field = try Field()
        for badge in ["AZ-001", "AZ-002"] {
            try field.attend(0, badge, .excused, reason: "ill")
            try field.attend(1, badge, .in)
        }
        try field.meet([0, 1, 2])
        let made = try resolve(field, filter { $0.conflictClass = .decision }, .choice("excused"))
        let decision = try #require(made.decision).description
        let undone = try field.conflicts(2).undoTogether(decision, reason: "", author: "Murad")
        #expect(undone.undone.count == 2 && undone.kind == .resolved)
        // Somebody who has been shown the excuse sees them there.
        try field.attend(2, "AZ-001", .in)
        let open = try field.conflicts(2).open()
        try #require(open.map(\.subject.name) == ["P07/AZ-002"])
        let last = try #require(try field.conflicts(2).log().last { $0.kind == .takenBack })
        let again = try field.conflicts(2).undoTogether(
            last.id.description, reason: "", author: "Aysel")
        #expect(
            again.undone.map(\.entry.subjectText) == ["attendance P07/AZ-002 excused vs present"])
        #expect(
            again.left.map(\.why) == [
                "what it decided on is no longer so; there is nothing to settle"
            ])
        #expect(again.kind == .takenBack)
        #expect(try field.isSettled(2))
    }

    @Test func `what a dry run tells is what is done, or nothing is`() throws {
        let field = try Field.disagreeing()
        let everything = filter { $0.conflictClass = .decision }
        let hash = try field.laptops[2].stateHash()
        let told = try resolve(field, everything, .shown, isDryRun: true)
        #expect(try field.laptops[2].stateHash() == hash)
        #expect(told.receipt.dots.isEmpty && told.decision == nil)
        // Someone decides meanwhile.
        let first = try #require(told.settled.first).conflict
        _ = try field.conflicts(2).resolve(
            first.shortID, .take("A"), reason: "why", author: "Murad")
        let changed = try field.laptops[2].stateHash()
        do {
            _ = try resolve(field, everything, .shown, expected: told.shortID)
            Issue.record("it was another set")
        } catch ConflictError.changed(let count) {
            #expect(count == told.settled.count - 1)
        }
        #expect(try field.laptops[2].stateHash() == changed)
        let again = try resolve(field, everything, .shown, isDryRun: true)
        let done = try resolve(field, everything, .shown, expected: again.shortID.uppercased())
        #expect(done.settled.map(\.conflict.id) == again.settled.map(\.conflict.id))
        #expect(done.settled.map(\.text) == again.settled.map(\.text))
        #expect(done.left.map(\.conflict.id) == again.left.map(\.conflict.id))
        #expect(done.id == again.id)
    }

    @Test func `without a reason nothing is decided that needs a person`() throws {
        let field = try Field.disagreeing()
        let hash = try field.laptops[2].stateHash()
        for isDryRun in [true, false] {
            #expect(throws: ConflictError.self) {
                try resolve(field, filter { _ in }, .latest, reason: "", isDryRun: isDryRun)
            }
        }
        #expect(try field.laptops[2].stateHash() == hash)
        let notices = try resolve(
            field, filter { $0.conflictClass = .notice }, .latest, reason: "")
        #expect(!notices.settled.isEmpty)
    }

    @Test func `what is put off stays so, unless that is asked for`() throws {
        let field = try Field.disagreeing()
        let first = try field.conflicts(2).open()[0]
        _ = try field.conflicts(2).postpone(
            first.shortID, untilMilliseconds: nil, reason: "later", author: "Aysel")
        let all = filter { _ in }
        let told = try resolve(field, all, .latest, isDryRun: true)
        #expect(told.deferredCount == 1)
        #expect(!told.settled.contains { $0.conflict.id == first.id })
        let every = try field.conflicts(2).resolve(
            all, includesDeferred: true, .latest, reason: "why", author: "Aysel", isDryRun: true)
        #expect(every.deferredCount == 0)
        #expect(every.settled.count + every.left.count == told.settled.count + told.left.count + 1)
    }

    @Test func `by whom a value is taken from is looked up in the log`() throws {
        let field = try Field.disagreeing()
        let roles = filter { $0.column = "role" }
        #expect(
            try resolve(field, roles, .writtenBy(person: "person 0"), isDryRun: true)
                .settled.map(\.text) == ["role 0", "role 0", "role 0"])
        let candidates = try field.conflicts(2).page(roles).conflicts[0].candidates
        let device = try #require(candidates.last?.provenance?.device)
        #expect(
            try resolve(field, roles, .writtenOn(device: device), isDryRun: true)
                .settled.map(\.text) == ["role 1", "role 1", "role 1"])
        let nobody = try resolve(field, roles, .writtenOn(device: "L9"), isDryRun: true)
        #expect(nobody.settled.isEmpty && nobody.left.count == 3)
        #expect(
            try resolve(field, roles, .value("guest"), isDryRun: true).settled.map(\.text)
                == ["guest", "guest", "guest"])
        // Of these columns none takes this.
        let times = filter { $0.kind = "visit" }
        let odd = try resolve(field, times, .value("half past nothing"), isDryRun: true)
        #expect(odd.settled.isEmpty && odd.left.count == 2, "\(odd.left.map(\.why))")
        #expect(try resolve(field, roles, .keepBoth, isDryRun: true).left.count == 3)
    }

    /// One decision may change what a later one of the same command is about.
    @Test func `a decision that another one has overtaken is not made`() throws {
        let field = try Field()
        try field.set(0, Forum.person, "AZ-002", "role=role 0")
        try field.set(1, Forum.person, "AZ-002", "role=role 1")
        _ = try field.records(2).delete(Forum.person, "AZ-002", author: "person 2")
        for (source, target) in [(0, 2), (1, 2), (2, 0), (2, 1)] {
            try field.carry(from: source, to: target)
        }
        let all = filter { _ in }
        #expect(try field.conflicts(2).open().count == 2)
        for decision in [CommonDecision.shown, .earliest] {
            let told = try resolve(field, all, decision, isDryRun: true)
            #expect(told.settled.count == 2 && told.left.isEmpty)
        }
        let told = try resolve(field, all, .latest, isDryRun: true)
        #expect(told.settled.count == 1 && told.left.count == 1)
        // The latest is the delete: a role is no longer asked for.
        let result = try resolve(field, all, .latest, expected: told.shortID)
        #expect(try field.isSettled(2))
        #expect(result.decision == nil, "a record's deletion is not taken back so")
        #expect(result.settled.map(\.conflict.subject.column) == [nil])
        #expect(result.left.map(\.conflict.subject.column?.name) == ["role"])
        for laptop in 0...1 {
            try field.carry(from: 2, to: laptop)
            #expect(try field.isSettled(laptop))
            #expect(try field.laptops[laptop].stateHash() == field.laptops[2].stateHash())
        }
    }
}
