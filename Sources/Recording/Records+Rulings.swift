public import Causality
internal import FieldRecords
public import Merge
public import RecordSchema
internal import ReplicaStore
public import SyncProtocol

/// What a rule found, with what people have decided on its facts.
public struct RuledFinding: Sendable {
    public var rule: ConflictRule
    public var finding: Finding
    /// The digest of its facts.
    public var key: Digest
    /// The row of `ruling` that holds decisions on them, whether it is there or not.
    public var ruling: RowID
    /// The live decisions, sorted by dot: resolutions of the register `ruling.choice`.
    public var decisions: [LiveOp]

    /// The live choices, each once.
    public var choices: [String] {
        var names: [String] = []
        for case .text(let name)? in decisions.map(\.action.value)
        where !names.contains(where: { Value.text($0) == .text(name) }) {
            names.append(name)
        }
        return names
    }

    /// People who had not seen each other's decision decided differently.
    public var isDisputed: Bool { choices.count > 1 }

    /// What someone decided, if that is all there is to it: nobody decided otherwise, and nothing
    /// has undone since what the choice came with.
    public var settledChoice: String? {
        guard choices.count == 1,
            let choice = finding.choices.first(where: { $0.name == choices[0] })
        else { return nil }
        return choice.edits.isEmpty ? choice.name : nil
    }

    public var isOpen: Bool { isDisputed || finding.isStanding && settledChoice == nil }

    /// Another one when someone has decided meanwhile, or when a choice would do something else.
    public var id: Digest { rule.id(of: finding, decisions: decisions.map(\.dot)) }
}

extension Records {
    /// What the rules find, settled or not, in the order of the rules. A SELECT that several rules
    /// share is run once.
    public func findings(of rules: [ConflictRule]) throws -> [RuledFinding] {
        try replica.read {
            var found: [String: [[Value]]] = [:]
            let ruled = Set(try replica.query("SELECT id FROM ruling").map { $0[0] })
            return try rules.flatMap { rule in
                let rows: [[Value]]
                if let known = found[rule.select] {
                    rows = known
                } else {
                    rows = try replica.query(rule.select)
                    found[rule.select] = rows
                }
                return try rule.find(rows).map { try ruling(on: $0, rule, ruled: ruled) }
            }
        }
    }

    private func ruling(
        on finding: Finding, _ rule: ConflictRule, ruled: Set<Value>
    ) throws -> RuledFinding {
        let key = rule.key(of: finding)
        let row = try replica.rowID(
            in: Forum.ruling, key: [.text(rule.name), .blob(key.bytes)],
            dividedBy: finding.division)
        var result = RuledFinding(
            rule: rule, finding: finding, key: key, ruling: row, decisions: [])
        guard ruled.contains(.blob(row.identifier.bytes)) else { return result }
        let column = Forum.ruling.declared("choice")
        let state = try replica.state(Forum.ruling.id, row)
        result.decisions = RegisterFold(state[CellKey(column.id)]).candidates
        return result
    }
}
