using System.Buffers.Binary;
using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Branching.Archiving;
using Tributary.Branching.Storage;
using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>What is kept of production's log while pg_receivewal writes it.</summary>
public sealed class LogArchiveTests : IDisposable
{
    const int SegmentBytes = 16 << 20;

    readonly string _root = TestFolder.New("archive");
    readonly LogArchive _archive;

    public LogArchiveTests()
    {
        var storage = new CopyDriver(_root);
        Directory.CreateDirectory(Folder = storage.PathOf(BaseImage.LogVolume));
        _archive = new LogArchive(PostgresInstallation.FindAll()[0], storage, "", "", "", TimeProvider.System, NullLogger.Instance);
    }

    string Folder { get; }

    [Theory]
    [InlineData(SegmentBytes)]
    [InlineData(SegmentBytes / 2)]
    [InlineData(1 << 20)]
    public void A_segment_that_is_still_filled_up_with_zeros_moves_no_limit(int filled)
    {
        Segment("000000010000000000000002", SegmentBytes, hasHeader: true);
        Segment("000000010000000000000003", SegmentBytes, hasHeader: true);
        Segment("000000010000000000000004.partial", filled, hasHeader: false);

        _archive.RemoveBefore(Lsn.Parse("0/3000CA0"));

        Assert.Equal(["000000010000000000000003", "000000010000000000000004.partial"], Directory.EnumerateFiles(Folder).Select(Path.GetFileName).Order());
        Assert.True(_archive.Reaches(Lsn.Parse("0/3000CA0")));
        Assert.False(_archive.Reaches(Lsn.Parse("0/2FFFFFF")));
    }

    [Fact]
    public async Task A_segment_without_a_record_is_no_log_yet()
    {
        Segment("000000010000000000000003.partial", SegmentBytes, hasHeader: false);

        Assert.False(_archive.Reaches(Lsn.Parse("0/3000CA0")));
        await _archive.CopyAsync(Lsn.Parse("0/3000CA0"), TestFolder.New("wal"), new HashSet<string>(), Token);
        Assert.Single(Directory.EnumerateFiles(Folder));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    void Segment(string name, int bytes, bool hasHeader)
    {
        using var file = File.Create(Path.Combine(Folder, name));
        if (hasHeader)
        {
            var header = new byte[40];
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(32), SegmentBytes);
            file.Write(header);
        }

        file.SetLength(bytes);
    }
}
