using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>The steps for a sequence, of its own or of an identity column.</summary>
internal static class SequenceSteps
{
    /// <summary>The sequence of an identity column has moved with its table by then, and keeps its name unless it was given another.</summary>
    public static void AlterIdentity(DdlSteps steps, JsonElement before, JsonElement after)
    {
        if (before.Text("own_name") is { } was && after.Text("own_name") is { } now && was != now)
            steps.Essential(DdlPhase.Rename, $"ALTER SEQUENCE {SqlQuoting.Qualified(after.Required("schema"), was)} RENAME TO {SqlQuoting.Identifier(now)}");
        Alter(steps, before, after);
    }

    public static void Alter(DdlSteps steps, JsonElement before, JsonElement after)
    {
        if (before.Text("type") != after.Text("type") || before.Text("options") != after.Text("options"))
            steps.Essential(DdlPhase.Setting, $"ALTER SEQUENCE {after.Required("name")} AS {after.Required("type")} {after.Required("options")}");
        Own(steps, before, after);
    }

    /// <summary>Makes the sequence go with a column, when both are there.</summary>
    public static void Own(DdlSteps steps, JsonElement before, JsonElement after)
    {
        if (before.Text("owned_by") != after.Text("owned_by"))
            steps.Essential(DdlPhase.Setting, $"ALTER SEQUENCE {after.Required("name")} OWNED BY {after.Text("owned_by") ?? "NONE"}");
    }
}
