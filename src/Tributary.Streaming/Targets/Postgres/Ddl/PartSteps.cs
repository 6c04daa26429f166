using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>
/// The steps for constraints, indexes, triggers, rules and policies of one relation. A part is the same as before if it has the same number, or,
/// where the server makes parts anew (as when a column gets another type), the same name. A part that goes with a column may be gone already.
/// </summary>
/// <param name="earlier">What the relation is called while parts are taken away, which comes before it is renamed.</param>
internal sealed class PartSteps(DdlSteps steps, string keyword, string earlier, string identity)
{
    public void Constraints(JsonElement before, JsonElement after)
    {
        var (old, now) = (before.Parts("constraints"), after.Parts("constraints"));
        foreach (var (id, constraint) in now)
        {
            if (Earlier(old, now, id, constraint) is not { } was)
            {
                if (constraint.Text("type") is "p" or "u" && constraint.Text("index") is { } number && before.Parts("indexes").TryGetValue(number, out var index) && index.Text("constraint") is null)
                    AddUsing(constraint, index);
                else
                    Add(constraint, after);
                continue;
            }

            var isSame = old.ContainsKey(id);
            if (isSame && Name(was) != Name(constraint) && IsOwn(constraint))
                steps.Essential(DdlPhase.Rename, $"ALTER {keyword} {identity} RENAME CONSTRAINT {Name(was)} TO {Name(constraint)}");
            if (!isSame && was.Text("definition") != constraint.Text("definition"))
            {
                if (IsOwn(was))
                    steps.Essential(DdlPhase.Drop, $"ALTER {keyword} {earlier} DROP CONSTRAINT IF EXISTS {Name(was)}");
                Add(constraint, after);
                continue;
            }

            if (!was.Flag("validated") && constraint.Flag("validated") && IsOwn(constraint))
                steps.Essential(DdlPhase.ForeignKey, $"ALTER {keyword} {identity} VALIDATE CONSTRAINT {Name(constraint)}");
            if (isSame && constraint.Text("type") == "f" && IsOwn(constraint) &&
                (was.Flag("deferrable") != constraint.Flag("deferrable") || was.Flag("deferred") != constraint.Flag("deferred")))
            {
                steps.Essential(
                    DdlPhase.ForeignKey, $"ALTER {keyword} {identity} ALTER CONSTRAINT {Name(constraint)} {(constraint.Flag("deferrable") ? "" : "NOT ")}DEFERRABLE " +
                    $"INITIALLY {(constraint.Flag("deferred") ? "DEFERRED" : "IMMEDIATE")}");
            }

            Comment("CONSTRAINT", was, constraint);
        }

        foreach (var (id, constraint) in old)
        {
            if (Later(now, id, constraint) is null && IsOwn(constraint))
                steps.Essential(DdlPhase.Drop, $"ALTER {keyword} {earlier} DROP CONSTRAINT IF EXISTS {Name(constraint)}");
        }
    }

    /// <param name="isCreated">CREATE TABLE has named the relation's CHECK constraints already.</param>
    public void Add(JsonElement constraint, JsonElement relation, bool isCreated = false)
    {
        var type = constraint.Required("type");
        var isKey = type is "p" or "u" or "x";
        // A key of a partition is made under its own name, and attached; everything else that is inherited comes with the parent's.
        if (!isKey && !IsOwn(constraint))
            return;
        if (type != "c" || !isCreated)
        {
            var only = isKey && relation.Text("kind") == "p" ? "ONLY " : "";
            var phase = type == "f" ? DdlPhase.ForeignKey : DdlPhase.Key;
            steps.Essential(phase, $"ALTER {keyword} {only}{identity} ADD CONSTRAINT {Name(constraint)} {constraint.Required("definition")}");
        }

        Comment("CONSTRAINT", default, constraint);
    }

    // The index that the constraint takes over gets the constraint's name with it.
    void AddUsing(JsonElement constraint, JsonElement index)
    {
        var deferral = constraint.Flag("deferrable") ? $" DEFERRABLE INITIALLY {(constraint.Flag("deferred") ? "DEFERRED" : "IMMEDIATE")}" : "";
        steps.Essential(
            DdlPhase.Key, $"ALTER {keyword} {identity} ADD CONSTRAINT {Name(constraint)} {(constraint.Text("type") == "p" ? "PRIMARY KEY" : "UNIQUE")} USING INDEX {Name(index)}{deferral}");
        Comment("CONSTRAINT", default, constraint);
    }

    public void Indexes(JsonElement before, JsonElement after)
    {
        var (old, now) = (before.Parts("indexes"), after.Parts("indexes"));
        foreach (var (id, index) in now)
        {
            var was = Earlier(old, now, id, index);
            var isSame = old.ContainsKey(id);
            if (was is { } dropped && !isSame && dropped.Text("definition") != index.Text("definition") && index.Text("constraint") is null && dropped.Text("constraint") is null)
            {
                if (dropped.Text("parent") is null)
                    steps.Essential(DdlPhase.Drop, $"DROP INDEX IF EXISTS {Full(dropped)}");
                was = null;
            }

            if (was is null && index.Text("constraint") is null)
                steps.Essential(DdlPhase.Index, index.Required("definition"));
            if (was is { } named && isSame && Name(named) != Name(index) && index.Text("constraint") is null)
                steps.Essential(DdlPhase.Rename, $"ALTER INDEX {Full(named)} RENAME TO {Name(index)}");
            IndexSettings(was ?? default, index, isSame);
        }

        foreach (var (id, index) in old)
        {
            if (Later(now, id, index) is null && index.Text("constraint") is null && index.Text("parent") is null)
                steps.Essential(DdlPhase.Drop, $"DROP INDEX IF EXISTS {Full(index)}");
        }

        if (now.Values.FirstOrDefault(index => index.Flag("clustered")) is { ValueKind: JsonValueKind.Object } clustered)
        {
            if (old.Values.FirstOrDefault(index => index.Flag("clustered")).Text("name") != clustered.Text("name"))
                steps.Descriptive(DdlPhase.Setting, $"ALTER {keyword} {identity} CLUSTER ON {Name(clustered)}");
        }
        else if (old.Values.Any(index => index.Flag("clustered")))
        {
            steps.Descriptive(DdlPhase.Setting, $"ALTER {keyword} {identity} SET WITHOUT CLUSTER");
        }
    }

    public void Attached(JsonElement before, JsonElement after)
    {
        Compare("TRIGGER", before.Parts("triggers"), after.Parts("triggers"), EnableTrigger);
        Compare("RULE", before.Parts("rules"), after.Parts("rules"), EnableRule);
        Compare("POLICY", before.Parts("policies"), after.Parts("policies"), (_, _) => { });
    }

    static bool IsOwn(JsonElement constraint) => constraint.Text("parent") is null && (constraint.Flag("local") || !constraint.Flag("inherited"));

    static string Name(JsonElement part) => SqlQuoting.Identifier(part.Required("name"));

    static string Full(JsonElement index) => SqlQuoting.Qualified(index.Required("schema"), index.Required("name"));

    static JsonElement? Earlier(IReadOnlyDictionary<string, JsonElement> old, IReadOnlyDictionary<string, JsonElement> now, string id, JsonElement part)
    {
        if (old.TryGetValue(id, out var same))
            return same;
        foreach (var (otherId, other) in old)
        {
            if (!now.ContainsKey(otherId) && Name(other) == Name(part))
                return other;
        }

        return null;
    }

    static JsonElement? Later(IReadOnlyDictionary<string, JsonElement> now, string id, JsonElement part)
    {
        if (now.TryGetValue(id, out var same))
            return same;
        foreach (var later in now.Values)
        {
            if (Name(later) == Name(part))
                return later;
        }

        return null;
    }

    void IndexSettings(JsonElement was, JsonElement index, bool isSame)
    {
        var isNew = was.ValueKind != JsonValueKind.Object;
        if (index.Text("parent") is { } parent && was.Text("parent") != parent)
            steps.Essential(DdlPhase.AttachIndex, $"ALTER INDEX {parent} ATTACH PARTITION {Full(index)}");
        // CREATE INDEX has said the settings; the definition of a constraint does not hold those of its index.
        if (!isNew || index.Text("constraint") is not null)
        {
            var earlierOptions = isSame || index.Text("constraint") is null ? was.Settings("options") : new Dictionary<string, string>();
            foreach (var change in RelationSteps.OptionChanges(earlierOptions, index.Settings("options"), ""))
                steps.Descriptive(DdlPhase.Setting, $"ALTER INDEX {Full(index)} {change}");
        }

        foreach (var (column, target) in index.Parts("statistics"))
        {
            if (was.Field("statistics").Text(column) != target.GetRawText())
                steps.Descriptive(DdlPhase.Setting, $"ALTER INDEX {Full(index)} ALTER COLUMN {column} SET STATISTICS {target.GetRawText()}");
        }

        steps.Comment($"INDEX {Full(index)}", was, index);
    }

    void Compare(string kind, IReadOnlyDictionary<string, JsonElement> old, IReadOnlyDictionary<string, JsonElement> now, Action<JsonElement, JsonElement> enable)
    {
        foreach (var (id, part) in old)
        {
            if (Later(now, id, part) is null)
                steps.Essential(DdlPhase.Drop, $"DROP {kind} IF EXISTS {Name(part)} ON {earlier}");
        }

        foreach (var (id, part) in now)
        {
            var was = Earlier(old, now, id, part);
            if (was is { } renamed && Name(renamed) != Name(part))
                steps.Essential(DdlPhase.Rename, $"ALTER {kind} {Name(renamed)} ON {identity} RENAME TO {Name(part)}");
            else if (was is { } changed && changed.Text("definition") != part.Text("definition"))
            {
                steps.Essential(DdlPhase.Drop, $"DROP {kind} IF EXISTS {Name(changed)} ON {earlier}");
                was = null;
            }

            // A policy is for roles; without one of them it cannot be made.
            if (was is null && kind == "POLICY")
                steps.Descriptive(DdlPhase.Code, part.Required("definition"), part.Items("roles").Count > 0 ? string.Join(", ", part.Items("roles").Select(role => role.GetString())) : null);
            else if (was is null)
                steps.Essential(DdlPhase.Code, part.Required("definition"));
            enable(was ?? default, part);
            Comment(kind, was ?? default, part);
        }
    }

    void EnableTrigger(JsonElement was, JsonElement trigger) => Enable("TRIGGER", was, trigger);

    void EnableRule(JsonElement was, JsonElement rule) => Enable("RULE", was, rule);

    void Enable(string kind, JsonElement was, JsonElement part)
    {
        var enabled = part.Text("enabled");
        if (enabled == (was.Text("enabled") ?? "O"))
            return;
        var word = enabled switch { "D" => "DISABLE", "R" => "ENABLE REPLICA", "A" => "ENABLE ALWAYS", _ => "ENABLE" };
        steps.Essential(DdlPhase.Setting, $"ALTER {(keyword == "VIEW" ? "TABLE" : keyword)} {identity} {word} {kind} {Name(part)}");
    }

    void Comment(string kind, JsonElement was, JsonElement part)
    {
        if (was.ValueKind != JsonValueKind.Object || IsOwn(part) || kind != "CONSTRAINT")
            steps.Comment($"{kind} {Name(part)} ON {identity}", was, part);
    }
}
