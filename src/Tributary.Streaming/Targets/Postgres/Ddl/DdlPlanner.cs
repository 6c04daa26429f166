using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>
/// Turns the description of what a command has changed into statements for the target. The command's own text is never run: it is the whole
/// string that the client sent, or the call of a function, and would do its other work a second time.
/// 1. Read what the command made, altered and dropped, each with its state before and after.
/// 2. Compare, object by object.
/// 3. Put the steps into the one order that works for every command: take away, rename, make, describe.
/// </summary>
internal static class DdlPlanner
{
    /// <exception cref="JsonException">The message is none of the event triggers'.</exception>
    public static DdlMessage Plan(SchemaChange change)
    {
        using var document = JsonDocument.Parse(change.Json);
        var message = document.RootElement;
        if (message.Field("rows").ValueKind == JsonValueKind.Array)
            return new DdlMessage(change.Tag, [], [], null, [], DdlRows.Read(message));
        var reports = message.Items("reports").Select(report => (report.Required("object"), report.Required("why"))).ToList();
        var steps = new List<DdlStep>();
        // Step 1 and 2.
        var rewritten = message.Items("rewritten");
        foreach (var table in rewritten)
            new DdlSteps(table.Required("identity"), steps).Essential(DdlPhase.Empty, $"DELETE FROM ONLY {table.Required("identity")}");
        var objects = message.Items("objects");
        var missing = MissingBelow(objects);
        foreach (var item in Ordered(objects))
            Compare(item.Field("before"), item.Field("after"), steps, rewritten.Count > 0, missing);
        foreach (var item in message.Items("dropped"))
            Drop(item, steps);
        foreach (var view in message.Items("refreshed"))
        {
            var name = view.Required("identity");
            new DdlSteps(name, steps).Essential(DdlPhase.Refresh, $"REFRESH MATERIALIZED VIEW {name}{(view.Flag("populated") ? "" : " WITH NO DATA")}");
        }

        // Step 3: the sort keeps the order of equals.
        return new DdlMessage(
            change.Tag, [.. steps.OrderBy(step => step.Phase)], reports, Refusal(message), [.. rewritten.Select(table => table.Required("identity"))], null);
    }

    static string? Refusal(JsonElement message)
    {
        if (message.Text("error") is { } state)
            return $"the source's event trigger could not describe it (SQLSTATE {state})";
        return message.Items("refused") is [var first, ..]
            ? $"it wrote all rows of {first.Required("object")} anew ({first.Required("bytes")} bytes), and at most {first.Required("max")} bytes are sent again " +
              "(rewrite_bytes_max in the source's table tributary.ddl_setting)"
            : null;
    }

    // A parent before its children, as its steps reach them; types and functions, which come first in the message, before what uses them.
    static IEnumerable<JsonElement> Ordered(IReadOnlyList<JsonElement> objects)
    {
        var byId = objects.Where(item => item.Field("after").Text("class") == "relation").ToDictionary(item => item.Required("id"));
        var depths = new Dictionary<string, int>();
        int Depth(string id)
        {
            if (depths.TryGetValue(id, out var known))
                return known;
            depths[id] = 0;
            return depths[id] = byId[id].Field("after").Items("parents").Select(parent => parent.Required("id"))
                .Where(byId.ContainsKey).Select(parent => Depth(parent) + 1).DefaultIfEmpty(0).Max();
        }

        return objects.OrderBy(item => item.Field("after").Text("class") == "relation" ? Depth(item.Required("id")) : 0);
    }

    static Dictionary<string, string> MissingBelow(IReadOnlyList<JsonElement> objects)
    {
        var missing = new Dictionary<string, string>();
        foreach (var item in objects)
        {
            var before = item.Field("before").Parts("columns");
            foreach (var (number, column) in item.Field("after").Parts("columns"))
            {
                if (!before.ContainsKey(number) && column.Flag("inherited") && column.Text("missing") is { } value)
                    missing[column.Required("name")] = value;
            }
        }

        return missing;
    }

    static void Compare(JsonElement before, JsonElement after, List<DdlStep> steps, bool isEmptied, Dictionary<string, string> missing)
    {
        var isNew = before.ValueKind != JsonValueKind.Object;
        var kind = after.Text("class") == "relation" ? RelationSteps.Keyword(after) : after.Required("kind");
        var own = new DdlSteps($"{kind} {after.Required("identity")}", steps);
        if (after.Text("class") != "relation")
        {
            if (isNew)
                ObjectSteps.Create(own, after);
            else
                ObjectSteps.Alter(own, before, after);
            return;
        }

        var relation = new RelationSteps(own, before, after, isEmptied, missing);
        if (isNew)
            relation.Create();
        else
            relation.Alter();
    }

    static void Drop(JsonElement item, List<DdlStep> steps)
    {
        var state = item.Field("state");
        var identity = item.Required("identity");
        // What holds for a schema's or a role's later objects goes with it.
        if (state.Text("kind") == "DEFAULT PRIVILEGES" && !item.Flag("original"))
            return;
        if (state.Text("class") != "relation")
        {
            ObjectSteps.Drop(new DdlSteps($"{state.Required("kind")} {identity}", steps), state, identity);
            return;
        }

        // A sequence that belongs to a column goes with it.
        if (state.Field("sequence").Text("owned_by") is not null && !item.Flag("original"))
            return;
        var keyword = RelationSteps.Keyword(state);
        var own = new DdlSteps($"{keyword} {identity}", steps);
        // Tables that refer to each other cannot go one by one before these.
        foreach (var constraint in state.Parts("constraints").Values)
        {
            if (constraint.Text("type") == "f" && constraint.Text("parent") is null)
                own.Essential(DdlPhase.Drop, $"ALTER {keyword} IF EXISTS {identity} DROP CONSTRAINT IF EXISTS {SqlQuoting.Identifier(constraint.Required("name"))}");
        }

        own.Essential(DdlPhase.Drop, $"DROP {keyword} {identity}");
    }
}
