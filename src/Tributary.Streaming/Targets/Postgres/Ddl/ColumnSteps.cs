using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>The steps for the columns of one relation that stays. What a parent's change does to its children is left to the parent's own steps.</summary>
/// <param name="keyword">As in ALTER TABLE.</param>
/// <param name="isEmptied">Whether the command wrote the rows anew, so that the table is empty while these steps run.</param>
/// <param name="missingBelow">Per column name, the value that rows of a child got; the parent of a partition tree has no rows and so no such value.</param>
internal sealed class ColumnSteps(DdlSteps steps, string keyword, JsonElement relation, bool isEmptied, IReadOnlyDictionary<string, string> missingBelow)
{
    readonly string _identity = relation.Required("identity");

    // A view's columns are those of its definition.
    bool IsView => keyword is "VIEW" or "MATERIALIZED VIEW";

    public void Compare(IReadOnlyDictionary<string, JsonElement> before, IReadOnlyDictionary<string, JsonElement> after)
    {
        foreach (var (number, column) in before)
        {
            if (!IsView && !after.ContainsKey(number) && IsOwn(column))
                steps.Essential(DdlPhase.Drop, $"ALTER {keyword} {_identity} DROP COLUMN {Name(column)}");
        }

        foreach (var (number, column) in after)
        {
            if (before.TryGetValue(number, out var was))
                Alter(was, column);
            else if (IsView)
                Settings(default, column);
            else
                Add(column);
        }
    }

    /// <summary>What CREATE TABLE cannot say of a column, or says only of the relation's own ones.</summary>
    public void Describe(JsonElement column, bool isPartition)
    {
        if (!IsOwn(column) && !isPartition && column.Text("generated") is null && column.Text("default") is { } value)
            steps.Essential(DdlPhase.Default, $"{AlterOnly(column)} SET DEFAULT {value}");
        Settings(default, column);
    }

    static bool IsOwn(JsonElement column) => column.Flag("local") || !column.Flag("inherited");

    static string Name(JsonElement column) => SqlQuoting.Identifier(column.Required("name"));

    string Alter(JsonElement column) => $"ALTER {keyword} {_identity} ALTER COLUMN {Name(column)}";

    string AlterOnly(JsonElement column) => keyword is "TABLE" or "FOREIGN TABLE" ? $"ALTER {keyword} ONLY {_identity} ALTER COLUMN {Name(column)}" : Alter(column);

    void Add(JsonElement column)
    {
        var isPlain = column.Text("generated") is null && column.Field("sequence").ValueKind != JsonValueKind.Object;
        if (IsOwn(column))
        {
            // The rows that exist got one value, which the catalog keeps as long as no row holds it itself.
            var missing = isEmptied || !isPlain ? null : column.Text("missing") ?? missingBelow.GetValueOrDefault(column.Required("name"));
            var value = missing is null ? "" : $" DEFAULT {SqlQuoting.Literal(missing)}::{column.Required("type")}";
            steps.Essential(DdlPhase.Column, $"ALTER {keyword} {_identity} ADD COLUMN {RelationCreation.Column(column)}{value}");
        }

        if (isPlain)
            steps.Essential(DdlPhase.Default, $"{AlterOnly(column)} {(column.Text("default") is { } expression ? $"SET DEFAULT {expression}" : "DROP DEFAULT")}");
        Settings(default, column);
    }

    void Alter(JsonElement was, JsonElement column)
    {
        var isOwn = !column.Flag("inherited");
        if (Name(was) != Name(column) && isOwn)
            steps.Essential(DdlPhase.Rename, $"ALTER {keyword} {_identity} RENAME COLUMN {Name(was)} TO {Name(column)}");
        var retyped = was.Text("type_id") != column.Text("type_id") || was.Text("modifier") != column.Text("modifier") || was.Text("collation") != column.Text("collation");
        if (IsView)
        {
            Settings(was, column);
            if (keyword == "VIEW" && was.Text("default") != column.Text("default"))
                steps.Essential(DdlPhase.Setting, $"{Alter(column)} {(column.Text("default") is { } shown ? $"SET DEFAULT {shown}" : "DROP DEFAULT")}");
            return;
        }

        if (retyped && isOwn)
        {
            var collation = column.Text("collation") is { } name ? $" COLLATE {name}" : "";
            var value = keyword == "FOREIGN TABLE" ? "" : isEmptied ? $" USING NULL::{column.Required("type")}" : $" USING {Name(column)}::{column.Required("type")}";
            steps.Essential(DdlPhase.Column, $"{Alter(column)} TYPE {column.Required("type")}{collation}{value}");
        }

        Generation(was, column, retyped);
        if (was.Flag("not_null") != column.Flag("not_null"))
        {
            steps.Essential(
                column.Flag("not_null") ? DdlPhase.NotNull : DdlPhase.Loosen,
                $"{Alter(column)} {(column.Flag("not_null") ? "SET" : "DROP")} NOT NULL");
        }

        Settings(was, column);
    }

    // A default that the new type cannot take would keep the type from changing, so it is away meanwhile.
    void Generation(JsonElement was, JsonElement column, bool retyped)
    {
        var (wasGenerated, isGenerated) = (was.Text("generated"), column.Text("generated"));
        var (old, now) = (was.Text("default"), column.Text("default"));
        if (wasGenerated is not null && isGenerated is null)
            steps.Essential(DdlPhase.Drop, $"{AlterOnly(column)} DROP EXPRESSION");
        else if (isGenerated is not null && old != now && !retyped)
            steps.Essential(DdlPhase.Default, $"{AlterOnly(column)} SET EXPRESSION AS ({now})");
        if (wasGenerated is null && old is not null && (retyped || now is null))
            steps.Essential(DdlPhase.Drop, $"{AlterOnly(column)} DROP DEFAULT");
        if (isGenerated is null && now is not null && (now != old || retyped || wasGenerated is not null))
            steps.Essential(DdlPhase.Default, $"{AlterOnly(column)} SET DEFAULT {now}");

        var (wasIdentity, isIdentity) = (was.Field("sequence"), column.Field("sequence"));
        if (wasIdentity.ValueKind == JsonValueKind.Object && isIdentity.ValueKind != JsonValueKind.Object)
            steps.Essential(DdlPhase.Drop, $"{Alter(column)} DROP IDENTITY");
        else if (wasIdentity.ValueKind != JsonValueKind.Object && isIdentity.ValueKind == JsonValueKind.Object)
            steps.Essential(DdlPhase.Key, $"{Alter(column)} ADD GENERATED {RelationCreation.Identity(column)}");
        else if (isIdentity.ValueKind == JsonValueKind.Object)
            SequenceSteps.AlterIdentity(steps, wasIdentity, isIdentity);
    }

    void Settings(JsonElement was, JsonElement column)
    {
        if (keyword is "TABLE" or "FOREIGN TABLE" or "MATERIALIZED VIEW")
        {
            var usual = was.ValueKind == JsonValueKind.Object && was.Text("type_id") == column.Text("type_id") ? was.Text("storage") : column.Text("usual_storage");
            if (column.Text("storage") is { } storage && storage != usual)
                steps.Descriptive(DdlPhase.Setting, $"{AlterOnly(column)} SET STORAGE {storage}");
            if (was.Text("compression") != column.Text("compression"))
                steps.Descriptive(DdlPhase.Setting, $"{Alter(column)} SET COMPRESSION {column.Text("compression") ?? "DEFAULT"}");
            if (was.Text("statistics") != column.Text("statistics"))
                steps.Descriptive(DdlPhase.Setting, $"{AlterOnly(column)} SET STATISTICS {column.Text("statistics") ?? "-1"}");
            if (RelationSteps.OptionChanges(was.Settings("options"), column.Settings("options"), "") is { Count: > 0 } changes)
            {
                foreach (var change in changes)
                    steps.Descriptive(DdlPhase.Setting, $"{AlterOnly(column)} {change}");
            }
        }

        NotNullName(was, column);
        SequenceType(was, column);
        steps.Comment($"COLUMN {_identity}.{Name(column)}", was, column);
    }

    // A new identity's sequence is of its column's type, but one that LIKE has made is of bigint, with the bounds of the other.
    void SequenceType(JsonElement was, JsonElement column)
    {
        var (old, now) = (was.Field("sequence"), column.Field("sequence"));
        if (old.ValueKind != JsonValueKind.Object && now.ValueKind == JsonValueKind.Object && now.Text("type") != column.Text("type"))
            steps.Essential(DdlPhase.Setting, $"ALTER SEQUENCE {now.Required("name")} AS {now.Required("type")} {now.Required("options")}");
    }

    // From PostgreSQL 18 on a NOT NULL is a constraint with a name, which CREATE TABLE and ADD COLUMN say. An older target has none, and the
    // statement then finds nothing to do; one that is inherited is renamed with its parent's.
    void NotNullName(JsonElement was, JsonElement column)
    {
        var (old, now) = (was.Text("not_null_name"), column.Text("not_null_name"));
        if (was.ValueKind != JsonValueKind.Object || now is null || now == (old ?? $"{relation.Required("name")}_{column.Required("name")}_not_null"))
            return;
        var table = SqlQuoting.Literal(_identity);
        var search =
            $"SELECT k.conname INTO earlier FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND k.conkey = ARRAY[a.attnum] " +
            $"WHERE k.conrelid = {table}::regclass AND k.contype = 'n' AND k.coninhcount = 0 AND a.attname = {SqlQuoting.Literal(column.Required("name"))} AND k.conname <> {SqlQuoting.Literal(now)};";
        var rename = $"EXECUTE pg_catalog.format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', {table}, earlier, {SqlQuoting.Literal(now)});";
        steps.Descriptive(DdlPhase.Setting, $"DO {SqlQuoting.Literal($"DECLARE earlier name; BEGIN {search} IF FOUND THEN {rename} END IF; END")}");
    }
}
