import Foundation
import Testing

/// What two or three people record of the same thing while all laptops are offline.
@Suite struct Stories {
    @Test func `a laptop records, syncs, and the hub holds the same`() throws {
        let forum = try Forum(prepared: ["hq", "L1"])
        try forum.connect("hq", "L1")
        try forum.must("L1", "attend", "P07", "AZ-014")
        try forum.must("L1", "sync")
        try forum.must("hq", "sync")
        let (hub, before) = (try forum.verified("hub"), try forum.verified("L1"))
        #expect(before == hub)
        #expect(try forum.verified("hq") == hub)
        #expect(try forum.must("hq", "sync") == "Synced: 0 changes sent, 0 changes received.\n")
    }

    static let laptops = ["L1", "L2", "L3"]

    static let orders = laptops.flatMap { first in
        laptops.filter { $0 != first }.flatMap { second in
            laptops.filter { $0 != first && $0 != second }.map { [first, second, $0] }
        }
    }

    @Test(arguments: orders)
    func `two doors, an undone scan and two arrivals end alike in every order of syncing`(
        _ order: [String]
    ) throws {
        let forum = try Forum(prepared: Self.laptops)
        try record(in: forum)
        try forum.connect("L1", "L2", "L3")
        for laptop in order + order { try forum.must(laptop, "sync") }
        try expectEqual(in: forum)
        for laptop in Self.laptops { try expectAttendance(on: laptop, in: forum) }
        let conflict = try expectConflicts(in: forum)
        try settle(conflict, by: order[1], in: forum)
    }

    /// Stories 1, 3 and 6, all of it offline; L3 records something of its own.
    private func record(in forum: Forum) throws {
        // Two doors: both are green.
        let atA = try forum.must("L1", "attend", "P07", "AZ-014", "--at", "09:02", "--door", "A")
        let atB = try forum.must("L2", "attend", "P07", "AZ-014", "--at", "09:05", "--door", "B")
        #expect(atA == atB && atA == "AZ-014  Xəyal Rüstəmov  in  P07\n")
        // Undo against a scan.
        try forum.must("L1", "attend", "P08", "HU-009", "--at", "10:16")
        try forum.must("L1", "attend", "P08", "HU-009", "--undo")
        try forum.must("L2", "attend", "P08", "HU-009", "--at", "10:20")
        // Two arrivals 15 minutes apart, and two 5 minutes apart.
        try forum.must("L1", "--as", "Leyla", "visit", "V12", "KZ", "--arrived", "10:10")
        try forum.must("L2", "--as", "Murad", "visit", "V12", "KZ", "--arrived", "10:25")
        try forum.must("L1", "--as", "Leyla", "visit", "V10", "KZ", "--arrived", "10:10")
        try forum.must("L2", "--as", "Murad", "visit", "V10", "KZ", "--arrived", "10:15")
        try forum.must("L3", "attend", "P09", "TR-031", "TR-032", "--absent", "--roll-call")
    }

    /// `verify` is clean everywhere, and everyone holds the same.
    private func expectEqual(in forum: Forum) throws {
        let hub = try forum.verified("hub")
        for laptop in Self.laptops { #expect(try forum.verified(laptop) == hub, "\(laptop)") }
    }

    private func expectAttendance(on laptop: String, in forum: Forum) throws {
        let attendance = try #require(
            try forum.json(laptop, "list", "attendance")["rows"] as? [[String: String]])
        let lines = attendance.map { row in
            ["item", "badge", "state", "first_in", "observations", "class"]
                .map { row[$0] ?? "" }.joined(separator: " ")
        }
        #expect(
            lines == [
                "P07 AZ-014 in 2025-11-25T09:02:00+04:00 2 0",
                "P08 HU-009 in 2025-11-25T10:20:00+04:00 2 0",
                "P09 TR-031 absent  1 0", "P09 TR-032 absent  1 0",
            ], "\(laptop)")
        // Of HU-009 the scan stands that nobody took back.
        let standing = try forum.rows(
            laptop,
            """
            SELECT i.code || ' ' || a.standing || ' of ' || a.observations || ', in ' || s."in"
              || ', unknown ' || s.unknown AS facts
            FROM attendance a JOIN item i ON i.id = a.item
            JOIN attendance_summary s ON s.item = a.item
            WHERE i.code <> 'P09' ORDER BY i.code
            """)
        #expect(
            standing == ["P07 2 of 2, in 1, unknown 519", "P08 1 of 2, in 1, unknown 519"],
            "\(laptop)")
    }

    /// One to decide and one to note, with both values, the same on every laptop.
    private func expectConflicts(in forum: Forum) throws -> ListedConflict {
        let listed = try forum.conflicts("L1")
        try #require(listed.count == 2, "\(listed)")
        let (toDecide, toNote) = (listed[0], listed[1])
        #expect(toDecide.conflictClass == 2 && !toDecide.isWithinTolerance)
        #expect(toDecide.subject == "visit V12/KZ actual_arrival")
        #expect(
            [toDecide.shown] + toDecide.others == [
                "2025-11-26T10:25:00+04:00", "2025-11-26T10:10:00+04:00",
            ])
        #expect(toNote.conflictClass == 1 && toNote.isWithinTolerance)
        #expect(toNote.subject == "visit V10/KZ actual_arrival")
        #expect(
            [toNote.shown] + toNote.others == [
                "2025-11-26T10:10:00+04:00", "2025-11-26T10:15:00+04:00",
            ])
        for laptop in Self.laptops {
            #expect(try forum.conflicts(laptop) == listed, "\(laptop)")
            let finished = try forum.karvan(laptop, "conflicts", "list", "--open")
            #expect(finished.status == 20, "\(laptop): \(finished.errors)")
            #expect(
                finished.output.contains(toDecide.shown + " by Murad on L2")
                    && finished.output.contains(toDecide.others[0] + " by Leyla on L1"),
                "\(laptop): \(finished.output)")
        }
        return toDecide
    }

    /// After a decision nobody has anything to decide, and the decision can't be made again.
    private func settle(_ conflict: ListedConflict, by laptop: String, in forum: Forum) throws {
        let resolve = [
            "conflicts", "resolve", conflict.id, "--take", "A", "--reason", "the bus log",
        ]
        try forum.must(laptop, resolve)
        for laptop in [laptop] + Self.laptops { try forum.must(laptop, "sync") }
        try expectEqual(in: forum)
        let before = try forum.verified(laptop)
        for laptop in Self.laptops {
            // What lies within the tolerance is still noted, and nobody has to decide.
            let finished = try forum.karvan(laptop, "conflicts", "list", "--open")
            #expect(finished.status == 0, "\(laptop): \(finished.output)")
            #expect(try forum.conflicts(laptop).map(\.conflictClass) == [1], "\(laptop)")
            #expect(
                try forum.must(laptop, "show", "visit", "V12/KZ")
                    .contains("actual_arrival  2025-11-26T10:10:00+04:00"), "\(laptop)")
            let again = try Programs.run(
                "karvan", resolve, in: forum.directory,
                environment: ["KARVAN_REPLICA": "\(laptop).sqlite"])
            #expect(again.status == 21, "\(laptop): \(again.errors)")
            #expect(again.output.isEmpty && again.errors.contains("Nothing was written"))
        }
        // Nothing was written by the decisions that came too late.
        for laptop in Self.laptops { #expect(try forum.verified(laptop) == before, "\(laptop)") }
    }
}
