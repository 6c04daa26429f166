using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Tributary.Contracts;
using Tributary.Contracts.Costs;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary cost</c>: asks the running server, which knows what branches really take; without one computes with assumptions.</summary>
static class CostCommand
{
    static readonly CostRequest Defaults = new();

    static readonly Option<string> Agents = new("--agents") { Description = "Agents at once, a row pair each", DefaultValueFactory = static _ => "50,200", HelpName = "n,n…" };

    static readonly Option<string> DatabaseSize = new("--database-size") { Description = "Size of production", DefaultValueFactory = static _ => "1TB", HelpName = "size" };

    static readonly Option<double?> DeltaShare = Number("--delta-share", "Share of the database that a branch changes, 0 to 1 (measured when a server runs)");

    static readonly Option<double?> CreateSeconds = Number("--create-seconds", "Seconds to make a branch (measured when a server runs)");

    static readonly Option<double?> RestoreMbPerSecond = Number("--restore-mb-per-s", $"How fast a dump is taken and restored [default: {Defaults.RestoreMbPerSecond}]");

    static readonly Option<double?> ActiveShare = Number("--active-share", "Share of the time in which a branch runs, 0 to 1 (measured when a server runs)");

    static readonly Option<double?> VcpusPerAgent = Number("--vcpus-per-agent", $"Virtual CPUs of an agent's database [default: {Defaults.VcpusPerAgent}]");

    static readonly Option<double?> VcpusFollower = Number("--vcpus-follower", $"Virtual CPUs of the follower [default: {Defaults.VcpusFollower}]");

    static readonly Option<double?> PriceStorage = Number("--price-storage-gb-month", $"Price of a GB-month of storage [default: {Defaults.PriceStorageGbMonth}]");

    static readonly Option<double?> PriceVcpu = Number("--price-vcpu-hour", $"Price of a vCPU-hour, memory included [default: {Defaults.PriceVcpuHour}]");

    static readonly Option<string> Currency = new("--currency") { Description = "Shown before amounts", DefaultValueFactory = static _ => Defaults.Currency, HelpName = "sign" };

    public static Command Build()
    {
        var command = new Command("cost", "Compare what agents with a database each cost: dump and restore against branching")
        {
            Agents, DatabaseSize, DeltaShare, CreateSeconds, RestoreMbPerSecond, ActiveShare, VcpusPerAgent, VcpusFollower, PriceStorage, PriceVcpu, Currency, SharedOptions.Output,
        };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples("tributary cost", "tributary cost --agents 10,100,1000 --database-size 5TB", "tributary cost --price-vcpu-hour 0.03 --delta-share 0.002 -o json");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        if (Request(parse, out var error) is not { } request)
            return Failures.Usage(parse, error);
        if (CostModel.Validate(request) is { Count: > 0 } errors)
            return Failures.Usage(parse, $"the figures do not serve: {string.Join("; ", errors)}");
        using var client = ServerFinder.Find(parse);
        if (client is null)
            return ExitCodes.Usage;
        var measured = await client.ComputeCostAsync(request, cancellationToken);
        // A server that is not there is no failure here: the table is computed from assumptions, and says so.
        if (!measured.Succeeded && measured.Problem.Code != ProblemCodes.ServerUnreachable)
            return Failures.Report(parse, measured.Problem);
        ServerCommand.Print(parse, measured.Value ?? CostModel.Compute(request, CostMeasures.None), static json => json.CostResponse, static (cost, output) =>
        {
            foreach (var line in CostTable.Lines(cost))
                output.WriteLine(line);
        });
        return ExitCodes.Ok;
    }

    static CostRequest? Request(ParseResult parse, out string error)
    {
        error = "";
        var agents = new List<int>();
        foreach (var word in parse.GetRequiredValue(Agents).Split(','))
        {
            if (!int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                error = $"--agents takes whole numbers with commas between them, for example 50,200; not '{word}'";
            agents.Add(number);
        }

        var size = parse.GetRequiredValue(DatabaseSize);
        if (!TryDecimalBytes(size, out var bytes))
            error = $"--database-size takes a number and GB or TB, for example 1TB; not '{size}'";
        return error.Length > 0 ? null : Defaults with
        {
            Agents = agents,
            DatabaseBytes = bytes,
            DeltaShare = parse.GetValue(DeltaShare),
            BranchCreateSeconds = parse.GetValue(CreateSeconds),
            RestoreMbPerSecond = parse.GetValue(RestoreMbPerSecond) ?? Defaults.RestoreMbPerSecond,
            ActiveShare = parse.GetValue(ActiveShare),
            VcpusPerAgent = parse.GetValue(VcpusPerAgent) ?? Defaults.VcpusPerAgent,
            VcpusFollower = parse.GetValue(VcpusFollower) ?? Defaults.VcpusFollower,
            PriceStorageGbMonth = parse.GetValue(PriceStorage) ?? Defaults.PriceStorageGbMonth,
            PriceVcpuHour = parse.GetValue(PriceVcpu) ?? Defaults.PriceVcpuHour,
            Currency = parse.GetRequiredValue(Currency),
        };
    }

    static bool TryDecimalBytes(string text, out long bytes)
    {
        bytes = 0;
        var unit = text.EndsWith("TB", StringComparison.OrdinalIgnoreCase) ? 1e12 : text.EndsWith("GB", StringComparison.OrdinalIgnoreCase) ? 1e9 : 0;
        // A petabyte is beyond the table's meaning, and the product must fit 63 bits.
        if (unit == 0 || !double.TryParse(text[..^2], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) || number * unit > 1e18)
            return false;
        bytes = (long)(number * unit);
        return true;
    }

    static Option<double?> Number(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "number",
        // The library would read by the machine's culture and convert by reflection.
        CustomParser = result => double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : Refuse(result),
    };

    static double? Refuse(ArgumentResult result)
    {
        result.AddError($"'{result.Tokens[0].Value}' is not a number, for example 0.05");
        return null;
    }
}
