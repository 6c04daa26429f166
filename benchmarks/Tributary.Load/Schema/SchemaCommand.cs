namespace Tributary.Load.Schema;

/// <summary>One command of the run, as it is sent.</summary>
/// <param name="Kind">For the count of what ran and what failed.</param>
/// <param name="Statements">More than one are one transaction.</param>
/// <param name="IsAlone">Whether it cannot stand in a transaction with others.</param>
/// <param name="IsOneString">Whether the statements go as one string of the simple protocol, as interactive clients and scripts send them.</param>
sealed record SchemaCommand(string Kind, IReadOnlyList<string> Statements, bool IsAlone = false, bool IsOneString = false)
{
    public string Sql => Statements.Count == 1 ? Statements[0] : IsOneString ? string.Join("; ", Statements) : $"BEGIN; {string.Join("; ", Statements)}; COMMIT";
}

/// <summary>One kind of command.</summary>
/// <param name="Weight">Against the others of its kind.</param>
/// <param name="Make">Answers null when nothing is there that the command could be about.</param>
/// <param name="IsAlone">See <see cref="SchemaCommand"/>.</param>
sealed record SchemaCommandKind(string Name, int Weight, Func<SchemaChoices, string[]?> Make, bool IsAlone = false)
{
    public SchemaCommandKind(string name, int weight, Func<SchemaChoices, string?> make)
        : this(name, weight, choices => make(choices) is { } sql ? [sql] : null)
    {
    }

    public static SchemaCommandKind Alone(string name, int weight, Func<SchemaChoices, string?> make) =>
        new(name, weight, choices => make(choices) is { } sql ? [sql] : null, IsAlone: true);
}
