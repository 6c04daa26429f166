using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>The steps that make one relation like its description, or from one description like the next.</summary>
internal sealed class RelationSteps(DdlSteps steps, JsonElement before, JsonElement after, bool isEmptied, IReadOnlyDictionary<string, string> missingBelow)
{
    static readonly IReadOnlyDictionary<string, string> NoMissing = new Dictionary<string, string>();

    readonly string _keyword = Keyword(after);
    readonly string _identity = after.Required("identity");

    public static string Keyword(JsonElement relation) => relation.Required("kind") switch
    {
        "v" => "VIEW",
        "m" => "MATERIALIZED VIEW",
        "S" => "SEQUENCE",
        "f" => "FOREIGN TABLE",
        _ => "TABLE",
    };

    /// <summary>What SET and RESET make of one list of settings the other.</summary>
    public static IReadOnlyList<string> OptionChanges(IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string> after, string prefix)
    {
        var changes = new List<string>();
        var gone = before.Keys.Where(key => !after.ContainsKey(key)).Select(key => prefix + key).ToList();
        var set = after.Where(option => !before.TryGetValue(option.Key, out var was) || was != option.Value)
            .Select(option => $"{prefix}{option.Key} = {SqlQuoting.Literal(option.Value)}").ToList();
        if (gone.Count > 0)
            changes.Add($"RESET ({string.Join(", ", gone)})");
        if (set.Count > 0)
            changes.Add($"SET ({string.Join(", ", set)})");
        return changes;
    }

    public void Create()
    {
        steps.Essential(DdlPhase.Create, RelationCreation.Sql(after));
        if (_keyword == "SEQUENCE")
        {
            SequenceSteps.Own(steps, default, after.Field("sequence"));
        }
        else
        {
            var isPartition = after.Text("partition_bound") is not null;
            var columns = new ColumnSteps(steps, _keyword, after, isEmptied: true, NoMissing);
            foreach (var column in after.Parts("columns").Values)
                columns.Describe(column, isPartition);
            var parts = new PartSteps(steps, _keyword, _identity, _identity);
            foreach (var constraint in after.Parts("constraints").Values)
                parts.Add(constraint, after, isCreated: true);
            parts.Indexes(default, after);
            parts.Attached(default, after);
            Parents();
            Security();
        }

        Describe();
    }

    public void Alter()
    {
        var was = before.Required("identity");
        if (before.Text("schema") != after.Text("schema"))
        {
            // A sequence that belongs to a column has moved with its table by then.
            steps.Essential(DdlPhase.Rename, $"ALTER {_keyword} {(_keyword == "SEQUENCE" ? "IF EXISTS " : "")}{was} SET SCHEMA {SqlQuoting.Identifier(after.Required("schema"))}");
            was = SqlQuoting.Qualified(after.Required("schema"), before.Required("name"));
        }

        if (before.Text("name") != after.Text("name"))
            steps.Essential(DdlPhase.Rename, $"ALTER {_keyword} {was} RENAME TO {SqlQuoting.Identifier(after.Required("name"))}");
        if (_keyword == "SEQUENCE")
        {
            SequenceSteps.Alter(steps, before.Field("sequence"), after.Field("sequence"));
            Describe();
            return;
        }

        new ColumnSteps(steps, _keyword, after, isEmptied, missingBelow).Compare(before.Parts("columns"), after.Parts("columns"));
        if (_keyword == "VIEW" && before.Text("definition") != after.Text("definition"))
            steps.Essential(DdlPhase.Create, RelationCreation.Sql(after));
        if (before.Text("persistence") != after.Text("persistence"))
            steps.Essential(DdlPhase.Column, $"ALTER {_keyword} {_identity} SET {(after.Text("persistence") == "u" ? "UNLOGGED" : "LOGGED")}");
        var parts = new PartSteps(steps, _keyword, before.Required("identity"), _identity);
        parts.Constraints(before, after);
        parts.Indexes(before, after);
        parts.Attached(before, after);
        Parents();
        Security();
        foreach (var change in OptionChanges(before.Settings("options"), after.Settings("options"), "")
            .Concat(OptionChanges(before.Settings("toast_options"), after.Settings("toast_options"), "toast.")))
            steps.Essential(DdlPhase.Setting, $"ALTER {_keyword} {_identity} {change}");
        Describe();
    }

    void Parents()
    {
        var old = before.Items("parents").ToDictionary(parent => parent.Required("id"), parent => parent.Required("name"));
        var now = after.Items("parents").ToDictionary(parent => parent.Required("id"), parent => parent.Required("name"));
        var (oldBound, bound) = (before.Text("partition_bound"), after.Text("partition_bound"));
        foreach (var (id, name) in old)
        {
            if (!now.ContainsKey(id))
                steps.Essential(DdlPhase.Detach, oldBound is not null ? $"ALTER TABLE {name} DETACH PARTITION {_identity}" : $"ALTER {_keyword} {_identity} NO INHERIT {name}");
        }

        foreach (var (id, name) in now)
        {
            if (!old.ContainsKey(id) && bound is not null)
                steps.Essential(DdlPhase.Attach, $"ALTER TABLE ONLY {name} ATTACH PARTITION {_identity} {bound}");
            else if (!old.ContainsKey(id) && before.ValueKind == JsonValueKind.Object)
                steps.Essential(DdlPhase.Attach, $"ALTER {_keyword} {_identity} INHERIT {name}");
        }
    }

    void Security()
    {
        if (before.Flag("row_security") != after.Flag("row_security"))
            steps.Essential(DdlPhase.Setting, $"ALTER TABLE {_identity} {(after.Flag("row_security") ? "ENABLE" : "DISABLE")} ROW LEVEL SECURITY");
        if (before.Flag("force_row_security") != after.Flag("force_row_security"))
            steps.Essential(DdlPhase.Setting, $"ALTER TABLE {_identity} {(after.Flag("force_row_security") ? "" : "NO ")}FORCE ROW LEVEL SECURITY");
        var index = after.Parts("indexes").Values.FirstOrDefault(candidate => candidate.Flag("replica_identity"));
        var wasIndex = before.Parts("indexes").Values.FirstOrDefault(candidate => candidate.Flag("replica_identity"));
        var identity = after.Text("replica_identity");
        if (_keyword == "TABLE" && (identity != (before.Text("replica_identity") ?? "d") || (identity == "i" && index.Text("name") != wasIndex.Text("name"))))
        {
            var words = identity switch { "f" => "FULL", "n" => "NOTHING", "i" when index.Text("name") is { } name => $"USING INDEX {SqlQuoting.Identifier(name)}", _ => "DEFAULT" };
            steps.Essential(DdlPhase.Setting, $"ALTER TABLE {_identity} REPLICA IDENTITY {words}");
        }
    }

    void Describe()
    {
        if (after.Text("tablespace") != before.Text("tablespace") && _keyword is "TABLE" or "MATERIALIZED VIEW" && (after.Text("tablespace") ?? before.Text("tablespace")) is not null)
            steps.Descriptive(DdlPhase.Setting, $"ALTER {_keyword} {_identity} SET TABLESPACE {SqlQuoting.Identifier(after.Text("tablespace") ?? "pg_default")}");
        if (before.ValueKind == JsonValueKind.Object && after.Text("access_method") is { } method && method != before.Text("access_method"))
            steps.Descriptive(DdlPhase.Setting, $"ALTER {_keyword} {_identity} SET ACCESS METHOD {SqlQuoting.Identifier(method)}");
        steps.Comment($"{_keyword} {_identity}", before, after);
        steps.Owner(_keyword, _identity, before, after);
        var owners = DdlSteps.Owners(before, after);
        var renewed = steps.Grants(before.Parts("grants"), after.Parts("grants"), owners);
        var (old, now) = (before.Parts("columns"), after.Parts("columns"));
        foreach (var (number, column) in now)
        {
            var was = old.GetValueOrDefault(number);
            steps.Grants(was.Parts("grants"), column.Parts("grants"), owners, renewed);
            steps.Grants(was.Field("sequence").Parts("grants"), column.Field("sequence").Parts("grants"), owners);
        }
    }
}
