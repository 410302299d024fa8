"""What a run leaves for people and programs: results files, the export, the table, images beside their answers."""
