using System.CommandLine;
using System.CommandLine.Parsing;
using Tributary.Contracts;

namespace Tributary.Cli;

/// <summary>The options that decide about a branch, the same at its creation and later.</summary>
sealed class BranchPolicyOptions
{
    readonly Option<string?> _owner = new("--owner") { Description = "Who answers for it", HelpName = "name" };

    readonly Option<string[]> _labels = new("--label") { Description = "A label; may be given again", HelpName = "key=value", AllowMultipleArgumentsPerToken = false };

    readonly Option<TimeSpan?> _ttl = new("--ttl")
    {
        Description = "Delete it after this time, for example 30m, 8h or 7d; 0s for never",
        HelpName = "time",
        CustomParser = ParseDuration,
    };

    readonly Option<bool> _ttlFromUse = new("--ttl-from-use") { Description = "Count --ttl from its last use instead of its creation" };

    readonly Option<string?> _durability = new("--durability") { Description = "Whether a commit waits for the disk: durable, or ephemeral (the default)", HelpName = "class" };

    readonly Option<string[]> _settings = new("--set")
    {
        Description = "A setting of its Postgres, from its next start on; may be given again",
        HelpName = "name=value",
        AllowMultipleArgumentsPerToken = false,
    };

    public BranchPolicyOptions() => _durability.AcceptOnlyFromAmong("ephemeral", "durable");

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _owner, _labels, _ttl, _ttlFromUse, _durability, _settings })
            command.Add(option);
        command.Validators.Add(result =>
        {
            foreach (var pair in (result.GetValue(_labels) ?? []).Concat(result.GetValue(_settings) ?? []).Where(pair => pair.IndexOf('=', StringComparison.Ordinal) <= 0))
                result.AddError($"'{pair}' is not key=value");
        });
    }

    public BranchCreateRequest Of(ParseResult parse, BranchCreateRequest request) => request with
    {
        Owner = parse.GetValue(_owner) ?? Environment.GetEnvironmentVariable("TRIBUTARY_OWNER"),
        Labels = Pairs(parse.GetValue(_labels)),
        TtlSeconds = parse.GetValue(_ttl) is { } ttl && ttl > TimeSpan.Zero ? ttl.TotalSeconds : null,
        TtlFrom = parse.GetValue(_ttlFromUse) ? BranchTtlStart.LastUse : BranchTtlStart.Creation,
        Durability = parse.GetValue(_durability) == "durable" ? BranchDurability.Durable : BranchDurability.Ephemeral,
        Settings = Pairs(parse.GetValue(_settings)),
    };

    /// <summary>What of it was given; a pair with nothing behind the equals sign takes away.</summary>
    public BranchUpdateRequest Of(ParseResult parse) => new()
    {
        Owner = parse.GetValue(_owner),
        Labels = Changes(parse.GetValue(_labels)),
        TtlSeconds = parse.GetValue(_ttl)?.TotalSeconds,
        TtlFrom = parse.GetValue(_ttlFromUse) ? BranchTtlStart.LastUse : parse.GetValue(_ttl) is null ? null : BranchTtlStart.Creation,
        Durability = parse.GetValue(_durability) switch { "durable" => BranchDurability.Durable, "ephemeral" => BranchDurability.Ephemeral, _ => null },
        Settings = Changes(parse.GetValue(_settings)),
    };

    static Dictionary<string, string>? Pairs(string[]? pairs) =>
        pairs is not { Length: > 0 } ? null : Split(pairs).GroupBy(pair => pair.Key).ToDictionary(group => group.Key, group => group.Last().Value);

    static Dictionary<string, string?>? Changes(string[]? pairs) => pairs is not { Length: > 0 } ? null
        : Split(pairs).GroupBy(pair => pair.Key).ToDictionary(group => group.Key, group => group.Last().Value is { Length: > 0 } value ? value : null);

    static IEnumerable<(string Key, string Value)> Split(string[] pairs) =>
        pairs.Select(pair => pair.Split('=', 2)).Select(parts => (parts[0].Trim(), parts[1].Trim()));

    static TimeSpan? ParseDuration(ArgumentResult result)
    {
        if (DurationText.TryParse(result.Tokens[0].Value, out var duration))
            return duration;
        result.AddError($"'{result.Tokens[0].Value}' is not a time; write a number with ms, s, m, h or d, for example 8h");
        return null;
    }
}
