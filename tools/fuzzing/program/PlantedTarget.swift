import FuzzTargets
import SyncProtocol

/// A parser with a bug behind a few bytes: what never finds it finds nothing.
struct PlantedTarget: FuzzTarget {
    static let name = "planted"

    let inputLimit = 64
    let allocationLimit = 4

    func offer(_ bytes: [UInt8]) throws(Violation) -> Bool {
        var decoder = CBORDecoder(bytes)
        do throws(CBORError) {
            try decoder.array(count: 3)
            guard try decoder.unsigned() > 70_000, try decoder.bool() else {
                return false
            }
            let blob = try decoder.blob(count: 2)
            guard blob[0] == 0x62 else { return false }
            precondition(blob[1] != 0x75)
        } catch {
            return false
        }
        return true
    }
}
