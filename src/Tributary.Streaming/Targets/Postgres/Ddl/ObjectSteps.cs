using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>The steps for everything that is no relation: schemas, extensions, types, functions, publications and the like.</summary>
internal static class ObjectSteps
{
    public static void Create(DdlSteps steps, JsonElement after)
    {
        if (after.Text("create") is { } sql)
            steps.Essential(CreatePhase(after), sql);
        else if (after.Required("kind") != "DEFAULT PRIVILEGES")
            throw new JsonException("the object cannot be made from its description");
        // What the statement has set already is set again at most.
        SetParts(steps, default, after, skip: after.Required("kind") == "EXTENSION" ? ["version", "schema"] : []);
        OwnerOf(steps, default, after);
    }

    public static void Alter(DdlSteps steps, JsonElement before, JsonElement after)
    {
        var kind = after.Required("kind");
        Rename(steps, before, after);
        switch (after.Text("mode"))
        {
            case "recreate" when before.Text("create") != after.Text("create") && SameName(before, after):
                steps.Essential(DdlPhase.Drop, $"DROP {kind} {MayBeGone(kind)}{before.Required("identity")}");
                steps.Essential(CreatePhase(after), after.Required("create"));
                SetParts(steps, default, after, []);
                OwnerOf(steps, default, after);
                return;
            case "replace" when before.Text("create") != after.Text("create"):
                steps.Essential(DdlPhase.Create, after.Required("create"));
                break;
        }

        if (before.Field("labels").ValueKind == JsonValueKind.Array)
            Labels(steps, before, after);
        if (kind == "TYPE" && after.Field("columns").ValueKind == JsonValueKind.Object)
            Attributes(steps, before, after);
        SetParts(steps, before, after, []);
        OwnerOf(steps, before, after);
    }

    public static void Drop(DdlSteps steps, JsonElement state, string identity)
    {
        var kind = state.Required("kind");
        if (kind == "DEFAULT PRIVILEGES")
        {
            foreach (var (role, part) in state.Parts("parts"))
                steps.Descriptive(DdlPhase.Grant, part.Required("unset"), role);
            return;
        }

        steps.Essential(DdlPhase.Drop, $"DROP {kind} {MayBeGone(kind)}{(kind is "CAST" or "OPERATOR" ? state.Required("identity") : identity)}");
    }

    // Statistics go with the first of their columns.
    static string MayBeGone(string kind) => kind == "STATISTICS" ? "IF EXISTS " : "";

    // Statistics are of columns, which may come with the same command.
    static DdlPhase CreatePhase(JsonElement state) => state.Required("kind") == "STATISTICS" ? DdlPhase.Index : DdlPhase.Create;

    static bool SameName(JsonElement before, JsonElement after) => before.Text("name") == after.Text("name") && before.Text("schema") == after.Text("schema");

    static void Rename(DdlSteps steps, JsonElement before, JsonElement after)
    {
        if (SameName(before, after) || after.Required("kind") == "DEFAULT PRIVILEGES")
            return;
        var kind = after.Required("kind");
        var identity = before.Required("identity");
        if (before.Text("schema") != after.Text("schema"))
            steps.Essential(DdlPhase.Rename, $"ALTER {kind} {identity} SET SCHEMA {SqlQuoting.Identifier(after.Required("schema"))}");
        if (before.Text("name") != after.Text("name"))
            steps.Essential(DdlPhase.Rename, $"ALTER {kind} {identity} RENAME TO {SqlQuoting.Identifier(after.Required("name"))}");
    }

    static void SetParts(DdlSteps steps, JsonElement before, JsonElement after, string[] skip)
    {
        var old = before.Parts("parts");
        var now = after.Parts("parts");
        var owners = DdlSteps.Owners(before, after);
        foreach (var (key, part) in old)
        {
            if (!now.ContainsKey(key) && !owners.Contains(key) && part.Text("unset") is { } unset)
                Step(steps, key, Renamed(unset));
        }

        foreach (var (key, part) in now)
        {
            if (skip.Contains(key) || (old.TryGetValue(key, out var was) && Renamed(was.Text("set") ?? "") == part.Text("set")))
                continue;
            if (IsOwnPart(key) && old.ContainsKey(key))
                Step(steps, key, part.Required("unset"));
            Step(steps, key, part.Required("set"));
        }

        // The statements of the parts name the object as it was called then.
        string Renamed(string sql) => before.Text("identity") is { } was ? sql.Replace(was, after.Required("identity"), StringComparison.Ordinal) : sql;
    }

    static void Step(DdlSteps steps, string key, string sql)
    {
        if (key is "not null" or "default" or "version" or "schema" || IsOwnPart(key))
            steps.Essential(DdlPhase.Setting, sql);
        else if (key is "comment" or "target")
            steps.Descriptive(DdlPhase.Comment, sql);
        else
            steps.Descriptive(DdlPhase.Grant, sql, key);
    }

    // Parts that cannot be set over an earlier one.
    static bool IsOwnPart(string key) => key.StartsWith("constraint:", StringComparison.Ordinal) || key.StartsWith("mapping:", StringComparison.Ordinal);

    static void OwnerOf(DdlSteps steps, JsonElement before, JsonElement after) =>
        steps.Owner(after.Required("kind"), after.Required("identity"), before, after);

    // A value of an enumeration keeps its number when it is renamed. None can be dropped.
    static void Labels(DdlSteps steps, JsonElement before, JsonElement after)
    {
        var identity = after.Required("identity");
        var old = before.Items("labels").ToDictionary(label => label.Required("id"), label => label.Required("label"));
        var now = after.Items("labels");
        string? previous = null;
        for (var i = 0; i < now.Count; i++)
        {
            var label = now[i].Required("label");
            if (!old.TryGetValue(now[i].Required("id"), out var was))
            {
                var next = now.Skip(i + 1).FirstOrDefault(later => old.ContainsKey(later.Required("id")));
                var place = previous is not null ? $" AFTER {SqlQuoting.Literal(previous)}"
                    : next.ValueKind == JsonValueKind.Object ? $" BEFORE {SqlQuoting.Literal(next.Required("label"))}" : "";
                steps.Essential(DdlPhase.Column, $"ALTER TYPE {identity} ADD VALUE {SqlQuoting.Literal(label)}{place}");
            }
            else if (was != label)
            {
                steps.Essential(DdlPhase.Rename, $"ALTER TYPE {identity} RENAME VALUE {SqlQuoting.Literal(was)} TO {SqlQuoting.Literal(label)}");
            }

            previous = label;
        }
    }

    static void Attributes(DdlSteps steps, JsonElement before, JsonElement after)
    {
        var identity = after.Required("identity");
        var old = before.Parts("columns");
        var now = after.Parts("columns");
        foreach (var (number, column) in old)
        {
            if (!now.ContainsKey(number))
                steps.Essential(DdlPhase.Drop, $"ALTER TYPE {identity} DROP ATTRIBUTE {Name(column)} CASCADE");
        }

        foreach (var (number, column) in now)
        {
            if (!old.TryGetValue(number, out var was))
            {
                steps.Essential(DdlPhase.Column, $"ALTER TYPE {identity} ADD ATTRIBUTE {Name(column)} {column.Required("type")} CASCADE");
                continue;
            }

            if (Name(was) != Name(column))
                steps.Essential(DdlPhase.Rename, $"ALTER TYPE {identity} RENAME ATTRIBUTE {Name(was)} TO {Name(column)} CASCADE");
            if (was.Text("type_id") != column.Text("type_id") || was.Text("modifier") != column.Text("modifier"))
                steps.Essential(DdlPhase.Column, $"ALTER TYPE {identity} ALTER ATTRIBUTE {Name(column)} TYPE {column.Required("type")} CASCADE");
            steps.Comment($"COLUMN {identity}.{Name(column)}", was, column);
        }
    }

    static string Name(JsonElement column) => SqlQuoting.Identifier(column.Required("name"));
}
