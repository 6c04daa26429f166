using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using Microsoft.Extensions.Logging;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Archiving;

/// <summary>
/// Production's log, kept in the pool as files of one segment each. pg_receivewal takes it from main, so that production is asked for
/// nothing more (https://www.postgresql.org/docs/current/app-pgreceivewal.html).
/// </summary>
/// <param name="installation">Of main's version.</param>
/// <param name="socketDirectory">Main's.</param>
/// <param name="superuser">The role that main's socket trusts.</param>
/// <param name="logFile">What pg_receivewal says.</param>
internal sealed class LogArchive(
    PostgresInstallation installation, IStorageDriver storage, string socketDirectory, string superuser, string logFile, TimeProvider time, ILogger logger)
{
    /// <summary>How pg_receivewal names the segment that it is writing.</summary>
    const string Unfinished = ".partial";

    /// <summary>After the fields of XLogPageHeaderData, which end at 24, and the system's identifier.</summary>
    const int SegmentSizeOffset = 32;

    /// <summary>The least that initdb allows.</summary>
    const uint SegmentBytesMin = 1 << 20;

    static readonly TimeSpan RetryPauseMax = TimeSpan.FromSeconds(30);

    string Folder => storage.PathOf(BaseImage.LogVolume);

    /// <summary>Bytes of the log that is kept.</summary>
    public long Bytes => Segments().Sum(segment => segment.Length);

    /// <summary>Receives the log until cancelled.</summary>
    /// <param name="onGap">Called when main has removed what was not received yet, after the archive has been emptied.</param>
    public async Task RunAsync(Func<CancellationToken, Task> onGap, CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            try
            {
                if (!Directory.Exists(Folder))
                    await MakeAsync(cancellationToken);
                var started = time.GetTimestamp();
                await ReceiveAsync(cancellationToken);
                if (time.GetElapsedTime(started) > RetryPauseMax)
                    pause = TimeSpan.FromSeconds(1);
                if (HasGap())
                {
                    Log.ArchiveGap(logger);
                    await ClearAsync(cancellationToken);
                    await onGap(cancellationToken);
                }
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                Log.ArchiveFailed(logger, pause.TotalSeconds, exception);
            }

            await Task.Delay(pause, time, cancellationToken);
            pause = TimeSpan.FromSeconds(Math.Min(RetryPauseMax.TotalSeconds, pause.TotalSeconds * 2));
        }
    }

    public Task ClearAsync(CancellationToken cancellationToken) => storage.DeleteAsync(BaseImage.LogVolume, cancellationToken);

    /// <summary>Whether the log from this position on is there.</summary>
    public bool Reaches(Lsn position) => Segments() is [var oldest, ..] all && SegmentSize(all) is { } size && string.CompareOrdinal(Place(oldest), NameOf(position, size)) <= 0;

    /// <summary>Puts the log from a position on into a data directory's <c>pg_wal</c>, as far as it has been received.</summary>
    /// <param name="whole">The finished segments that are there already; a call for more takes the same set again.</param>
    /// <exception cref="ChildProcessException">A file cannot be copied.</exception>
    public async Task CopyAsync(Lsn from, string walDirectory, ISet<string> whole, CancellationToken cancellationToken)
    {
        var segments = Segments();
        if (SegmentSize(segments) is not { } size)
            return;
        foreach (var segment in segments.Where(segment => string.CompareOrdinal(Place(segment), NameOf(from, size)) >= 0))
        {
            if (whole.Contains(segment.Name))
                continue;
            var file = segment.FullName;
            try
            {
                await ReplaceAsync(file, Path.Combine(walDirectory, segment.Name[..24]), cancellationToken);
            }
            catch (ChildProcessException) when (segment.Extension == Unfinished && !File.Exists(file))
            {
                // It was finished since the listing, and has its final name now.
                file = file[..^Unfinished.Length];
                await ReplaceAsync(file, Path.Combine(walDirectory, segment.Name[..24]), cancellationToken);
            }

            if (Path.GetExtension(file) != Unfinished)
                whole.Add(Path.GetFileName(file));
        }

        foreach (var history in Directory.EnumerateFiles(Folder, "*.history"))
            await ReplaceAsync(history, Path.Combine(walDirectory, Path.GetFileName(history)), cancellationToken);
    }

    /// <summary>Removes the log before a position.</summary>
    public void RemoveBefore(Lsn position)
    {
        var segments = Segments();
        if (SegmentSize(segments) is not { } size)
            return;
        foreach (var segment in segments.Where(segment => string.CompareOrdinal(Place(segment), NameOf(position, size)) < 0))
            segment.Delete();
    }

    // The log compresses to a fraction, and what pg_receivewal fills a new segment with to nothing.
    async Task MakeAsync(CancellationToken cancellationToken)
    {
        await storage.CreateAsync(BaseImage.LogVolume, cancellationToken);
        await storage.CompressAsync(BaseImage.LogVolume, cancellationToken);
    }

    async Task ReceiveAsync(CancellationToken cancellationToken)
    {
        File.Delete(logFile);
        using var process = await ChildProcesses.StartAsync(
            new ChildProcessSpec(
                installation.ClientProgram("pg_receivewal"),
                ["--directory", Folder, "--host", socketDirectory, "--port", "5432", "--username", superuser, "--no-password", "--no-loop", "--no-sync", "--status-interval", "1"])
            {
                AsPostgresUser = true,
                ParentDeathSignal = "TERM",
                LogFile = logFile,
                Environment = new Dictionary<string, string> { [StrayServers.OwnerVariable] = StrayServers.OwnerOf(Path.GetDirectoryName(logFile)!) },
            }, cancellationToken);
        try
        {
            await process.WaitForExitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            End(process);
            await process.WaitForExitAsync(CancellationToken.None);
            throw;
        }
    }

    static void End(Process process)
    {
        try
        {
            process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }

    // Copied beside it first: a standby may be reading the file that is replaced.
    static async Task ReplaceAsync(string source, string copy, CancellationToken cancellationToken)
    {
        (await ChildProcesses.RunAsync(new ChildProcessSpec("cp", ["--reflink=auto", source, copy + ".new"]), cancellationToken)).EnsureSucceeded("cp");
        PostgresUser.Own(copy + ".new");
        File.Move(copy + ".new", copy, overwrite: true);
    }

    bool HasGap() => File.Exists(logFile) && File.ReadLines(logFile).Any(line => line.Contains("has already been removed", StringComparison.Ordinal));

    // Oldest first. 24 hexadecimal digits: timeline, then the place in the log (XLogFileName in src/include/access/xlog_internal.h).
    List<FileInfo> Segments() => !Directory.Exists(Folder) ? [] :
    [
        .. new DirectoryInfo(Folder).EnumerateFiles()
            .Where(file => file.Name.Length == 24 || (file.Name.Length == 24 + Unfinished.Length && file.Extension == Unfinished))
            .OrderBy(Place, StringComparer.Ordinal),
    ];

    static string Place(FileInfo segment) => segment.Name[8..24];

    // The oldest file's first page tells: xlp_seg_size of XLogLongPageHeaderData (src/include/access/xlog_internal.h). The newest file's length
    // does not, since pg_receivewal fills a segment up with zeros before it writes into it; with too small a size the places of the log would
    // be too large, and what the images need would be removed.
    static long? SegmentSize(List<FileInfo> segments)
    {
        if (segments is not [var oldest, ..])
            return null;
        Span<byte> header = stackalloc byte[SegmentSizeOffset + sizeof(uint)];
        using var file = oldest.OpenRead();
        if (file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length)
            return null;
        var size = BinaryPrimitives.ReadUInt32LittleEndian(header[SegmentSizeOffset..]);
        return size >= SegmentBytesMin && BitOperations.IsPow2(size) ? size : null;
    }

    static string NameOf(Lsn position, long size)
    {
        var number = (long)(position.Value / (ulong)size);
        var each = 0x1_0000_0000L / size;
        return string.Create(CultureInfo.InvariantCulture, $"{number / each:X8}{number % each:X8}");
    }
}
