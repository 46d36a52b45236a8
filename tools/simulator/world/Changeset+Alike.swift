import Merge
import SyncProtocol

extension Changeset {
    /// Whether two say the same as far as both can be read: of one that came another way, keys may be missing.
    func isAlike(_ other: Changeset) -> Bool {
        if self == other { return true }
        return blanked(where: other) == other.blanked(where: self)
    }

    /// Without the values that can't be read in the one or in the other.
    private func blanked(where other: Changeset) -> Changeset {
        var result = self
        for row in rows.indices where other.rows.indices.contains(row) {
            let operations = other.rows[row].operations
            for index in rows[row].operations.indices where operations.indices.contains(index) {
                let (mine, its) = (rows[row].operations[index], operations[index])
                let isHidden =
                    mine.action.value?.isUnreadable == true
                    || its.action.value?.isUnreadable == true
                guard isHidden else { continue }
                switch mine.action {
                case .put: result.rows[row].operations[index].action = .put(.erased)
                case .resolve(_, let covers):
                    result.rows[row].operations[index].action = .resolve(.erased, covers: covers)
                case .retract, .delete: continue
                }
            }
        }
        return result
    }
}
