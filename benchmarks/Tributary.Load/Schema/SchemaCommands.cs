namespace Tributary.Load.Schema;

/// <summary>
/// Makes the run's commands, all of kinds that docs/ddl-conformance.md names as carried. A command stands alone, or several stand with changes
/// of rows in one transaction, one string, one block of code, or subtransactions of which some are undone.
/// </summary>
sealed class SchemaCommands(Random random)
{
    static readonly SchemaCommandKind[] Kinds = [.. TableCommands.All, .. ColumnCommands.All, .. PartCommands.All, .. ObjectCommands.All];
    static readonly int Weights = Kinds.Sum(static kind => kind.Weight);

    readonly SchemaChoices _choices = new(random);

    public SchemaCommand Next(SchemaPicture picture)
    {
        _choices.Picture = picture;
        return random.Next(12) switch
        {
            0 => Together(),
            1 => InSubtransactions(),
            2 => InBlock(),
            3 => InOneString(),
            4 when random.Next(3) == 0 => Undone(),
            _ => One(static _ => true),
        };
    }

    SchemaCommand One(Func<SchemaCommandKind, bool> condition)
    {
        while (true)
        {
            var place = random.Next(Weights);
            var kind = Kinds.First(candidate => (place -= candidate.Weight) < 0);
            if (condition(kind) && kind.Make(_choices) is { } statements)
                return new SchemaCommand(kind.Name, statements, kind.IsAlone);
        }
    }

    IReadOnlyList<string> Piece() => One(static kind => !kind.IsAlone).Statements;

    SchemaCommand Together() => new("commands and rows in one transaction", [Change(), .. Piece(), Change(), .. Piece(), Change()]);

    SchemaCommand InSubtransactions() => new(
        "subtransactions",
        [.. Piece(), "SAVEPOINT one", Change(), .. Piece(), Change(), "ROLLBACK TO one", Change(), "SAVEPOINT two", .. Piece(), "RELEASE two", Change()]);

    SchemaCommand InOneString() => new("several in one string", [Change(), .. Piece(), Change(), .. Piece()], IsOneString: true);

    SchemaCommand Undone() => new("a transaction that is rolled back", [.. Piece(), Change(), .. Piece(), "ROLLBACK", "BEGIN", Change()]);

    SchemaCommand InBlock()
    {
        static string Execute(IEnumerable<string> statements) => string.Concat(statements.Select(static sql => $"EXECUTE $run${sql}$run$; "));
        return new SchemaCommand(
            "DO block",
            [
                $"DO $do$ BEGIN {Execute(Piece())} {Execute([Change()])} BEGIN {Execute(Piece())} {Execute([Change()])} RAISE 'undone'; EXCEPTION WHEN raise_exception THEN {Execute([Change()])} END; END $do$",
            ]);
    }

    // Of the tables as they are before the command, so some of these meet a table that is gone: by then the command has failed as a whole.
    string Change()
    {
        var table = _choices.Table(static candidate => candidate.CanChange && candidate.Key is { Type: "integer" or "bigint" } && !candidate.IsPartition);
        return table is null ? "SELECT 1" : RowChanges.Next(_choices, table);
    }
}
