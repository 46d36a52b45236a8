public import RecordSchema

extension Forum {
    /// Who may write what. What the forum is made of, its delegations, sites and programme, is the
    /// coordinators' to change; who is there, and what happened, is everybody's who records.
    ///
    /// A viewer only reads.
    public static let roles = [
        Role("coordinator", writing: nil, inDivisions: nil),
        Role("lead", writing: shared, inDivisions: recorded),
        Role("recorder", writing: shared, inDivisions: recorded),
        Role("viewer", writing: [], inDivisions: []),
    ]

    /// What everybody reads, and the work of those who record needs: a person among it, because a walk-in is
    /// added at the door, and an observation, because that person may be of no delegation.
    private static let shared = [
        person, observation, tally, note, photo, resolution, ruling, proposal, deferral,
    ]

    /// What one delegation's laptops read, and the coordinators'.
    private static let recorded = [
        contact, visit, observation, note, photo, resolution, ruling, deferral,
    ]

    public static func role(named name: String) -> Role? { roles.first { $0.name == name } }
}
