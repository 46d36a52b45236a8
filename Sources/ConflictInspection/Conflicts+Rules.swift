internal import Causality
internal import FieldRecords
internal import Merge
internal import RecordSchema
internal import Recording
internal import ReplicaStore

/// Conflicts that rules find between records.
extension Conflicts {
    func openFindings() throws -> [RuledFinding] {
        try records.findings(of: replica.schema.rules).filter(\.isOpen)
    }

    /// What a rule found, as people read it.
    func conflict(of ruled: RuledFinding) throws -> Conflict {
        let finding = ruled.finding
        let choices = finding.choices.enumerated().map { index, choice in
            ConflictChoice(
                label: Self.label(index), name: choice.name, text: choice.text,
                effect: choice.effect, keepsBoth: choice.keepsBoth)
        }
        let records = try finding.evidence.map(candidate)
        let decisions = try ruled.decisions.map { try candidate($0, among: choices) }
        return Conflict(
            id: ruled.id, subject: try subject(finding.table, finding.row, nil),
            conflictClass: finding.conflictClass, candidates: records + decisions,
            shown: finding.shown, explanation: explain(ruled), choices: choices, ruled: ruled)
    }

    private func explain(_ ruled: RuledFinding) -> String {
        let count = ruled.choices.count
        guard count > 0 else { return ruled.finding.explanation }
        let decided =
            ruled.isDisputed
            ? "\(count) people settled it differently, and none had seen the other's decision. "
            : "Someone has settled it, and a record that they had not seen undoes that. "
        return decided + ruled.finding.explanation
    }

    private func candidate(_ evidence: Finding.Evidence) throws -> Candidate {
        let key = CellKey(evidence.column.id)
        let cell = try replica.state(evidence.table.id, evidence.row)[key]
        let op =
            evidence.column.isRegister
            ? RegisterFold(cell, policy: evidence.column.policy).shown
            : cell.live.max { $0.yields(to: $1) }
        return Candidate(
            label: "", dot: op?.dot, value: op?.action.value, text: evidence.text,
            provenance: try op.flatMap { try records.provenance(of: $0.dot) }, saw: [],
            isShown: evidence.isShown, isResolution: false, isDelete: false)
    }

    private func candidate(_ op: LiveOp, among choices: [ConflictChoice]) throws -> Candidate {
        let choice = choices.first { .text($0.name) == op.action.value }
        var name = ""
        if case .text(let text)? = op.action.value { name = text }
        return Candidate(
            label: choice?.label ?? "", dot: op.dot, value: op.action.value,
            text: choice?.text ?? name, provenance: try records.provenance(of: op.dot), saw: [],
            isShown: false, isResolution: true, isDelete: false)
    }
}
