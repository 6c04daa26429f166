using System.Globalization;
using System.Text.RegularExpressions;

namespace Tributary.Branching.Following;

/// <summary>
/// Whether the pool has room for a copy of production. One that does not fit would read production, with a checkpoint each time, until the pool is
/// full, and again and again; so the size that it announces is compared before anything is read, and is remembered.
/// </summary>
/// <param name="roomBytes">What the pool has free, and may still grow by.</param>
internal sealed partial class BackupRoom(BranchingOptions options, Func<CancellationToken, Task<long>> roomBytes, TimeProvider time)
{
    /// <summary>By then production may have become smaller; asking costs it a checkpoint.</summary>
    static readonly TimeSpan AskAgainAfter = TimeSpan.FromMinutes(10);

    (long Bytes, long At)? _refused;
    long _room;

    /// <summary>Looks what room there is, before production is asked for its size.</summary>
    /// <exception cref="BranchingException">Not what production's size was when it was last refused.</exception>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        _room = await roomBytes(cancellationToken) - BranchRegistry.FreeBytesMin;
        if (_refused is { } refused && _room < refused.Bytes && time.GetElapsedTime(refused.At) < AskAgainAfter)
            throw Short(refused.Bytes);
        _refused = null;
    }

    /// <summary>Whether what pg_basebackup says of its progress announces more than there is room for.</summary>
    public bool IsExceededBy(string text)
    {
        if (_refused is null && Announced().Match(text) is { Success: true } announced && long.TryParse(announced.Groups[1].ValueSpan, CultureInfo.InvariantCulture, out var kibibytes)
            && kibibytes << 10 is var bytes && bytes > _room)
        {
            Refuse(bytes);
        }

        return _refused is not null;
    }

    /// <summary>What to say when it is exceeded. A copy may find no space within the second before pg_basebackup announces anything.</summary>
    public BranchingException Exceeded()
    {
        if (_refused is null)
            Refuse(_room + BranchRegistry.FreeBytesMin);
        return Short(_refused!.Value.Bytes);
    }

    void Refuse(long bytes) => _refused = (bytes, time.GetTimestamp());

    BranchingException Short(long bytes) => new(new BranchError(
        BranchErrorKind.PoolFull,
        string.Create(CultureInfo.InvariantCulture, $"The base backup of {options.Production} takes at least {bytes >> 20} MiB, and the pool has room for {Math.Max(0, _room) >> 20}, beside what branches hold and the {BranchRegistry.FreeBytesMin >> 20} that are kept back for them. Delete branches (tributary branch delete NAME --purge), enlarge branching.pool-size, or free some of the pool's disk; then it begins by itself.")));

    // "  12345/678901 kB (1%), 0/1 tablespace" (progress_report in src/bin/pg_basebackup/pg_basebackup.c).
    [GeneratedRegex(@"\d/(\d+) kB \(")]
    private static partial Regex Announced();
}
