import Foundation
import Testing

@Suite struct Stories {
    @Test func `a laptop records, syncs, and the hub holds the same`() throws {
        let forum = try Forum()
        try forum.startHub()
        try forum.enrol("hq", "L1")
        try forum.importSample(on: "hq")
        try forum.must("hq", "sync")
        try forum.must("L1", "sync")
        try forum.must("L1", "attend", "P07", "AZ-014")
        try forum.must("L1", "sync")
        try forum.must("hq", "sync")
        #expect(try forum.stateHash("L1") == forum.stateHash("hub"))
        #expect(try forum.stateHash("hq") == forum.stateHash("hub"))
    }
}
