using System.Globalization;

namespace Tributary.Contracts.Costs;

/// <summary>The cost table as plain lines, the same wherever it is shown.</summary>
public static class CostTable
{
    static readonly string[] Heads = ["agents", "way", "storage", "storage/month", "compute/month", "total/month", "time to a database"];

    static readonly string[] AccountHeads = ["branches of", "number", "deleted", "own bytes", "has run", "processor", "connections", "worth so far"];

    /// <summary>The table's head and rows, as cells.</summary>
    public static IReadOnlyList<IReadOnlyList<string>> Cells(CostResponse cost) => [Heads, .. cost.Rows.Select(row => Cells(row, cost.Assumptions.Currency))];

    /// <summary>The table, then what it assumes, then what branches use and have used.</summary>
    public static IReadOnlyList<string> Lines(CostResponse cost) =>
        [.. Aligned(Cells(cost), words: 1), "", .. Assumptions(cost), .. cost.Accounts.Count > 0 ? ["", .. Aligned(AccountCells(cost), words: 0)] : Array.Empty<string>()];

    // Words to the left, numbers to the right, so that digits of one worth stand below each other.
    static IEnumerable<string> Aligned(IReadOnlyList<IReadOnlyList<string>> cells, int words)
    {
        var widths = Enumerable.Range(0, cells[0].Count).Select(column => cells.Max(row => row[column].Length)).ToArray();
        return cells.Select(row => string.Join("  ", row.Select((cell, column) => column == words ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]))).TrimEnd());
    }

    static IReadOnlyList<IReadOnlyList<string>> AccountCells(CostResponse cost) =>
    [
        AccountHeads,
        .. cost.Accounts.Select(account => (IReadOnlyList<string>)
        [
            account.Owner ?? "(no owner)", account.Branches.ToString("N0", CultureInfo.InvariantCulture), account.DeletedBranches.ToString("N0", CultureInfo.InvariantCulture), Bytes(account.ExclusiveBytes),
            Seconds(account.RunSeconds), Seconds(account.CpuSeconds), account.Connections.ToString("N0", CultureInfo.InvariantCulture),
            string.Create(CultureInfo.InvariantCulture, $"{cost.Assumptions.Currency}{account.Cost:N4}"),
        ]),
    ];

    /// <summary>What the table assumes, a line each.</summary>
    public static IReadOnlyList<string> Assumptions(CostResponse cost)
    {
        var from = cost.Assumptions;
        return
        [
            $"database {Bytes(from.DatabaseBytes)}; a branch holds {from.DeltaShare!.Value * 100:0.######} % of it alone ({Origin(cost.DeltaShareOrigin)}) and is made in {Seconds(from.BranchCreateSeconds!.Value)} ({Origin(cost.BranchCreateOrigin)})",
            $"dump and restore at {from.RestoreMbPerSecond:0.#} MB/s; {from.VcpusPerAgent:0.#} vCPU an agent's database, {from.VcpusFollower:0.#} for the follower; a branch runs {from.ActiveShare!.Value:P0} of the time ({Origin(cost.ActiveShareOrigin)}), a restored copy always",
            $"prices (assumed; set them with flags): {from.Currency}{from.PriceStorageGbMonth:0.####} a GB-month of storage, {from.Currency}{from.PriceVcpuHour:0.####} a vCPU-hour",
        ];
    }

    static string[] Cells(CostRow row, string currency) =>
    [
        row.Agents.ToString("N0", CultureInfo.InvariantCulture), row.Method == CostMethod.DumpRestore ? "dump and restore" : "branching", Bytes(row.StorageGb * 1e9),
        Money(row.StorageCost, currency), Money(row.ComputeCost, currency), Money(row.TotalCost, currency), Seconds(row.CreateSeconds),
    ];

    static string Money(double amount, string currency) => string.Create(CultureInfo.InvariantCulture, $"{currency}{amount:N0}");

    static string Origin(FigureOrigin origin) => origin switch { FigureOrigin.Measured => "measured", FigureOrigin.Given => "given", _ => "assumed" };

    static string Bytes(double bytes) => bytes switch
    {
        >= 1e12 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e12:0.##} TB"),
        >= 1e9 or 0 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.##} GB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.##} MB"),
    };

    static string Seconds(double seconds) => seconds switch
    {
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1000:0.#} ms"),
        < 120 => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.#} s"),
        < 7200 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0.#} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:0.#} h"),
    };
}
