import ConflictInspection
import FieldRecords
import Merge
import RecordSchema
import Recording
import ReplicaStore
import Testing

/// A list of conflicts that is cut, narrowed, or both.
@Suite struct ConflictPages {
    @Test func `what needs a decision comes first, then what is older`() throws {
        let field = try Field.disagreeing()
        let open = try field.conflicts(2).open()
        #expect(open.count >= 9, "\(open.map(\.subjectText))")
        #expect(Set(open.map(\.conflictClass)) == [.notice, .decision])
        #expect(open.contains(where: \.isWithinTolerance) && open.contains { $0.rule != nil })
        for (a, b) in zip(open, open.dropFirst()) {
            #expect(a.conflictClass >= b.conflictClass)
            guard a.conflictClass == b.conflictClass else { continue }
            #expect(a.sinceMilliseconds ?? 0 <= b.sinceMilliseconds ?? 0, "\(a.subjectText)")
        }
        let counts = try field.conflicts(2).counts()
        #expect(counts.toDecide == open.count { $0.conflictClass == .decision })
        #expect(counts.toNote == open.count { $0.conflictClass == .notice })
        #expect(counts.deferred == 0)
    }

    @Test func `a page is the start of the list, and says whether there is more`() throws {
        let field = try Field.disagreeing()
        let conflicts = field.conflicts(1)
        let open = try conflicts.open()
        for limit in 0...open.count + 1 {
            let page = try conflicts.page(limit: limit)
            #expect(page.conflicts.map(\.id) == open.prefix(limit).map(\.id))
            #expect(page.hasMore == (limit < open.count) && page.openCount == open.count)
        }
        for conflict in open {
            #expect(try conflicts.conflict(conflict.shortID).subject == conflict.subject)
        }
    }

    @Test func `a filter lets through what is asked for, and nothing else`() throws {
        let field = try Field.disagreeing()
        let conflicts = field.conflicts(2)
        let records = field.records(2)
        let open = try conflicts.open()
        let visit = try records.row(in: Forum.item, "V12")
        let panel = try records.row(in: Forum.item, "P07")
        let delegation = try records.row(in: Forum.delegation, "KZ")
        func check(
            _ change: (inout ConflictFilter) -> Void, _ isMeant: (Conflict) -> Bool,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            var filter = ConflictFilter()
            change(&filter)
            let meant = open.filter(isMeant)
            #expect(
                !meant.isEmpty && meant.count < open.count, "\(meant.count)",
                sourceLocation: sourceLocation)
            let page = try conflicts.page(filter)
            #expect(
                page.conflicts.map(\.id) == meant.map(\.id),
                "\(page.conflicts.map(\.subjectText)), not \(meant.map(\.subjectText))",
                sourceLocation: sourceLocation)
            #expect(
                page.needsDecision == meant.contains { $0.conflictClass == .decision },
                sourceLocation: sourceLocation)
            let short = try conflicts.page(filter, limit: 1)
            #expect(
                short.conflicts.map(\.id) == meant.prefix(1).map(\.id)
                    && short.hasMore == (meant.count > 1), sourceLocation: sourceLocation)
        }
        try check({ $0.conflictClass = .decision }) { $0.conflictClass == .decision }
        try check({ $0.conflictClass = .notice }) { $0.conflictClass == .notice }
        try check({ $0.kind = "person" }) { $0.subject.kind == "person" }
        try check({ $0.column = "role" }) { $0.subject.column?.name == "role" }
        let rule = try #require(open.compactMap(\.rule).first)
        try check({ $0.column = rule }) { $0.rule == rule }
        try check({ $0.item = visit }) { ["V12", "V12/KZ"].contains($0.subject.name) }
        try check({ $0.item = panel }) { $0.subject.name.hasPrefix("P07") }
        try check({ $0.delegation = delegation }) {
            ["KZ", "V12/KZ"].contains($0.subject.name)
        }
        try check({
            $0.person = "person 0"; $0.kind = "visit"
        }) { $0.subject.kind == "visit" }
        try check({
            $0.kind = "person"; $0.condition = (Forum.person, "badge <> 'AZ-001' -- not her")
        }) { ["AZ-002", "TR-031"].contains($0.subject.name) }
        for odd in ["badge =", "1 = 1); DELETE FROM person; --", "nothing = 1"] {
            var filter = ConflictFilter()
            filter.condition = (Forum.person, odd)
            #expect(throws: RecordError.self) { try conflicts.page(filter) }
        }
        let middle = try #require(open.compactMap(\.sinceMilliseconds).sorted().dropFirst(3).first)
        try check({ $0.beforeMilliseconds = middle }) { ($0.sinceMilliseconds ?? 0) <= middle }
        for nobody in ["L9", ""] {
            var filter = ConflictFilter()
            filter.device = nobody
            #expect(try conflicts.page(filter).conflicts.isEmpty)
        }
    }

    @Test func `what was put off is counted, and listed where that is asked for`() throws {
        let field = try Field.disagreeing()
        let conflicts = field.conflicts(0)
        let open = try conflicts.open()
        let (first, last) = (open[0], try #require(open.last))
        for conflict in [first, last] {
            _ = try conflicts.postpone(
                conflict.shortID, untilMilliseconds: nil, reason: "later", author: "Aysel")
        }
        let page = try conflicts.page(limit: 2, includesDeferred: false)
        #expect(page.conflicts.map(\.id) == open[1...2].map(\.id))
        #expect(page.deferredCount == 2 && page.needsDecision)
        let all = try conflicts.page()
        #expect(all.conflicts.map(\.id) == open.map(\.id) && all.deferredCount == 2)
        #expect(all.conflicts.count { $0.deferral?.who == "Aysel" } == 2)
        var filter = ConflictFilter()
        filter.conflictClass = last.conflictClass
        #expect(try conflicts.page(filter, includesDeferred: false).deferredCount == 1)
        let counts = try conflicts.counts()
        #expect(counts.deferred == 2)
        #expect(counts.toDecide + counts.toNote == open.count)
        #expect(try conflicts.conflict(first.shortID).deferral?.reason == "later")
    }
}
