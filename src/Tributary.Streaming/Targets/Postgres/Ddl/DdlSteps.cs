using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>Collects the steps of one object.</summary>
/// <param name="name">The object as a report names it.</param>
internal sealed class DdlSteps(string name, List<DdlStep> steps)
{
    public string Name => name;

    public void Essential(DdlPhase phase, string sql) => steps.Add(new DdlStep(phase, sql, name, IsEssential: true));

    public void Descriptive(DdlPhase phase, string sql, string? role = null) => steps.Add(new DdlStep(phase, sql, name, IsEssential: false, role));

    public void Comment(string on, JsonElement before, JsonElement after)
    {
        if (before.Text("comment") != after.Text("comment"))
            Descriptive(DdlPhase.Comment, $"COMMENT ON {on} IS {(after.Text("comment") is { } comment ? SqlQuoting.Literal(comment) : "NULL")}");
    }

    /// <summary>The earlier and the new owner of what changes hands; nobody otherwise.</summary>
    public static IReadOnlyList<string> Owners(JsonElement before, JsonElement after) =>
        before.Text("owner") is { } old && after.Text("owner") is { } now && old != now ? [old, now] : [];

    public void Owner(string kind, string identity, JsonElement before, JsonElement after)
    {
        if (after.Text("owner") is { } owner && owner != before.Text("owner"))
            Descriptive(DdlPhase.Owner, $"ALTER {kind} {identity} OWNER TO {SqlQuoting.Identifier(owner)}", owner);
    }

    /// <summary>Applies what differs between two sets of parts, each with what sets it and what takes it away.</summary>
    /// <param name="owners">
    /// The two owners where the object has changed hands, which moves the one's rights to the other: what a part takes away is counted from what the earlier owner had.
    /// </param>
    /// <param name="renewed">Roles whose other grants were set anew, which took these away.</param>
    public HashSet<string> Grants(
        IReadOnlyDictionary<string, JsonElement> before, IReadOnlyDictionary<string, JsonElement> after, IReadOnlyList<string> owners, HashSet<string>? renewed = null)
    {
        var changed = new HashSet<string>();
        foreach (var (role, part) in before)
        {
            if (!after.ContainsKey(role) && !owners.Contains(role) && changed.Add(role))
                Descriptive(DdlPhase.Grant, part.Required("unset"), role);
        }

        foreach (var (role, part) in after)
        {
            if ((!before.TryGetValue(role, out var old) || old.Text("set") != part.Text("set") || renewed?.Contains(role) == true) && changed.Add(role))
                Descriptive(DdlPhase.Grant, part.Required("set"), role);
        }

        return changed;
    }
}
